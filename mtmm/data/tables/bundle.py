"""A table as a data set: everything is read and checked before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from mtmm import source
from mtmm.data.splits import bundle, fingerprint
from mtmm.data.tables.cells import visible
from mtmm.data.tables.inputs import Input, read_input
from mtmm.data.tables.reading import read_table
from mtmm.data.tables.spec import INPUTS, PARTS, TASKS, Given, read_parts, read_split
from mtmm.data.tables.splitting import Rows, everywhere, split_rows
from mtmm.data.tables.targets import Target, read_target
from mtmm.spec import Batch, DataBundle, Description

Settings = Mapping[str, Mapping[str, Given]]


@dataclass(frozen=True, slots=True)
class Read:
    """A table that was read and checked; its files are decoded when it is built."""

    description: Description
    rows: Rows
    inputs: Mapping[str, Input]
    targets: Mapping[str, Target]

    def build(self) -> DataBundle:
        """The data set."""
        made = {name: part.make() for name, part in self.inputs.items()}
        splits = {}
        for part in PARTS:
            index = torch.from_numpy(self.rows[part])
            splits[part] = Batch(
                inputs={name: x[index] for name, (x, _) in made.items()},
                present={name: there[index] for name, (_, there) in made.items()},
                targets={name: target.values[index] for name, target in self.targets.items()},
                labelled={name: target.labelled[index] for name, target in self.targets.items()},
            )
        return bundle(self.description, splits)


def read(file: str, inputs: Settings, tasks: Settings, split: Mapping[str, Given]) -> Read:
    """What a suite says of a table, read and checked.

    Raises ValueError with everything that is wrong with the settings and the table.
    """
    if not file:
        raise ValueError("dataset 'table' needs `file`, a .csv, .tsv or .parquet")
    path = Path(file).expanduser()
    table = read_table(path)
    problems: list[str] = []
    parts = read_parts("inputs", inputs, INPUTS, table.columns, problems)
    asked = read_parts("tasks", tasks, TASKS, table.columns, problems)
    how = read_split(split, table.columns, problems)
    rows = split_rows(table, how, problems) if how else everywhere(table)
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
            source=_source(),
            table=table.to_csv(index=False),
            files={name: x.files for name, x in known.items()},
            settings=[inputs, tasks, split],
        ),
    )
    return Read(description, rows, known, wanted)


def _raise_for(path: Path, problems: list[str]) -> None:
    if problems:
        raise ValueError(visible(f"{path}: {'; '.join(problems)}"))


@cache
def _source() -> str:
    """A hash over this package: what it makes of a table is no component's own module."""
    return source.combine(map(source.file_hash, sorted(Path(__file__).parent.glob("*.py"))))
