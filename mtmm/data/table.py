"""`table`: data of one's own out of a CSV or Parquet file, without code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mtmm import source
from mtmm.data.splits import bundle, fingerprint
from mtmm.spec import Batch, DataBundle, Description
from mtmm.tables.inputs import Input, read_input
from mtmm.tables.reading import read_table
from mtmm.tables.spec import INPUTS, PARTS, TASKS, Given, read_parts, read_split
from mtmm.tables.splitting import Rows, split_rows
from mtmm.tables.targets import Target, read_target

Settings = Mapping[str, Mapping[str, Given]]

_CODE = (Path(__file__), *sorted((Path(__file__).parent.parent / "tables").glob("*.py")))
SOURCE_HASH = source.combine(map(source.file_hash, _CODE))


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
    return _read(file, inputs or {}, tasks or {}, split or {}).description


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
    read = _read(file, inputs or {}, tasks or {}, split or {})
    made = {name: part.make() for name, part in read.inputs.items()}
    splits = {}
    for part in PARTS:
        index = torch.from_numpy(read.rows[part])
        splits[part] = Batch(
            inputs={name: x[index] for name, (x, _) in made.items()},
            present={name: there[index] for name, (_, there) in made.items()},
            targets={name: target.values[index] for name, target in read.targets.items()},
            labelled={name: target.labelled[index] for name, target in read.targets.items()},
        )
    return bundle(read.description, splits)


@dataclass(frozen=True, slots=True)
class _Read:
    description: Description
    rows: Rows
    inputs: Mapping[str, Input]
    targets: Mapping[str, Target]


def _read(file: str, inputs: Settings, tasks: Settings, split: Mapping[str, Given]) -> _Read:
    if not file:
        raise ValueError("dataset 'table' needs `file`, a .csv, .tsv or .parquet")
    path = Path(file).expanduser()
    table = read_table(path)
    problems: list[str] = []
    parts = read_parts("inputs", inputs, INPUTS, table.columns, problems)
    asked = read_parts("tasks", tasks, TASKS, table.columns, problems)
    how = read_split(split, table.columns, problems)
    _raise_for(path, problems)
    rows = split_rows(table, how, problems)
    _raise_for(path, problems)
    targets = {part.name: read_target(part, table, rows, problems) for part in asked}
    made = {
        part.name: read_input(part, table, path.parent, rows["train"], problems) for part in parts
    }
    _raise_for(path, problems)
    known = {name: x for name, x in made.items() if x is not None}
    wanted = {name: y for name, y in targets.items() if y is not None}
    description = Description(
        modalities=tuple(x.modality for x in known.values()),
        tasks=tuple(y.task for y in wanted.values()),
        fingerprint=fingerprint(
            source=SOURCE_HASH,
            table=table.to_csv(index=False),
            files={name: x.files for name, x in known.items()},
            settings=[inputs, tasks, split],
        ),
    )
    return _Read(description, rows, known, wanted)


def _raise_for(path: Path, problems: list[str]) -> None:
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
