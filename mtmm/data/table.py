"""`table`: data of one's own out of a CSV or Parquet file, without code."""

from __future__ import annotations

from mtmm.spec import DataBundle, Description, Legend


def describe(
    *,
    file: str = "",
    inputs: dict[str, dict[str, int | float | str | list[str]]] | None = None,
    tasks: dict[str, dict[str, str | list[str]]] | None = None,
    split: dict[str, int | str | list[float]] | None = None,
) -> Description:
    """The description of what `build` makes of the same settings.

    Raises ValueError with everything that is wrong with the settings and the table.
    """
    # Here, for every process imports this module: pandas and SciPy take more than a second.
    from mtmm.data.tables.bundle import read

    return read(file, inputs or {}, tasks or {}, split or {}).description


def legend(
    *,
    file: str = "",
    inputs: dict[str, dict[str, int | float | str | list[str]]] | None = None,
    tasks: dict[str, dict[str, str | list[str]]] | None = None,
    split: dict[str, int | str | list[float]] | None = None,
) -> Legend:
    """The words of texts and the classes of tasks; settings are those of `build`."""
    from mtmm.data.tables.bundle import read

    table = read(file, inputs or {}, tasks or {}, split or {})
    return Legend(
        {name: part.words for name, part in table.inputs.items() if part.words},
        {name: target.classes for name, target in table.targets.items() if target.classes},
    )


def build(
    *,
    file: str = "",
    inputs: dict[str, dict[str, int | float | str | list[str]]] | None = None,
    tasks: dict[str, dict[str, str | list[str]]] | None = None,
    split: dict[str, int | str | list[float]] | None = None,
) -> DataBundle:
    """The rows of a table (`.csv`, `.tsv`, `.parquet`) as samples; paths are relative to `file`.

    `inputs` by name: `{kind: image, column: path, size: 64, channels: 3}`; `{kind: text, column:
    note, length: 32, vocabulary: 5000}`, in words of the training rows, or with `tokenizer`, a file
    of Hugging Face tokenizers; `{kind: vector, columns: [age, height]}`; `{kind: audio, column:
    wav, rate: 16000, seconds: 1.0, bands: 40}`, WAV files as log-mel spectra. Images, spectra and
    numbers have mean 0 and variance 1 over train. `tasks` by name: `{kind: classification, column:
    breed}`, `{kind: ordinal, column: grade, order: [low, mid, high]}`, `{kind: multilabel,
    columns: [cat, dog]}`, `{kind: regression, column: price}`. `split`: `{column: part}`, whose
    cells are train, val and test, or `{fractions: [0.7, 0.15, 0.15], seed: 0}`; with `group` rows
    of one group stay together. A missing cell is an absent input or label; a number that is missing
    beside others of its input is the mean.
    """
    from mtmm.data.tables.bundle import read

    return read(file, inputs or {}, tasks or {}, split or {}).build()
