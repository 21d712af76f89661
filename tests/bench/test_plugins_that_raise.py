"""Components of a user's own that raise, or are not what they say, are told with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api import plan
from bench.errors import InputError
from bench.execution.unit import run_cell
from bench.plugins import load_plugins

pytestmark = pytest.mark.usefixtures("unloaded_after")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


RAISING = """
import json
from dataclasses import replace
from mtmm import register
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.encoders.base import Encoder
from mtmm.fusion.base import Fusion
from mtmm.fusion.sum import Sum
from mtmm.heads.classification import ClassificationHead
from mtmm.sharing.hard import Hard
from mtmm.weighting.base import Weighting

def gone():
    raise FileNotFoundError("no /data/faces")

def nothing():
    return None

register("dataset", "gone")(Dataset(build=gone, describe=gone))
register("dataset", "nothing")(Dataset(build=nothing, describe=nothing))

@register("weighting", "odd")
class Odd(Weighting):
    def check(self, num_tasks):
        raise RuntimeError("odd one")
    def step(self, state, losses):
        return losses, state

@register("fusion", "unsure")
class Unsure(Sum):
    @classmethod
    def check(cls, modalities, settings):
        raise TypeError("unsure")

@register("fusion", "broken")
class Broken(Fusion):
    def __init__(self, dims, out_dim):
        super().__init__(dims, out_dim)
        raise KeyError("broken")
    def forward(self, features, present=None):
        return features

@register("fusion", "reads")
class Reads(Sum):
    def __init__(self, dims, out_dim):
        super().__init__(dims, out_dim)
        self.first = next(self.parameters()).flatten()[0].item()

@register("sharing", "uncounted")
class Uncounted(Hard):
    @classmethod
    def path_count(cls, num_tasks, **settings):
        raise ZeroDivisionError("uncounted")

@register("encoder", "keyless")
class Keyless(Encoder):
    kinds = frozenset({"image"})
    def __init__(self, modality, width):
        {}[modality.name]

@register("weighting", "untyped")
class Untyped(Weighting):
    def __init__(self, *, power: float = 1.0):
        power + "1"
    def step(self, state, losses):
        return losses, state

@register("head", "stuck")
class Stuck(ClassificationHead):
    def __init__(self, dim, task):
        raise AttributeError("stuck")

def twice():
    data = DATASETS["glyphs"].describe()
    return replace(data, tasks=data.tasks[:1] * 2)

def stuck():
    data = DATASETS["glyphs"].describe()
    return replace(data, tasks=tuple(replace(task, kind="stuck") for task in data.tasks))

def unread():
    json.loads("{")

register("dataset", "twice")(Dataset(build=gone, describe=twice))
register("dataset", "stuck")(Dataset(build=gone, describe=stuck))
register("dataset", "unread")(Dataset(build=gone, describe=unread))
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dataset": "gone"}, "dataset: dataset 'gone': FileNotFoundError: no /data/faces ({}:15)"),
        ({"dataset": "nothing"}, "dataset: dataset 'nothing': its `describe` must return a Desc"),
        ({"weighting": "odd"}, "weighting: weighting 'odd': RuntimeError: odd one ({}:26)"),
        ({"fusion": "unsure"}, "fusion: fusion 'unsure': TypeError: unsure ({}:34)"),
        ({"fusion": "broken"}, "fusion: fusion 'broken': KeyError: 'broken' ({}:40)"),
        (
            {"sharing": "uncounted"},
            "sharing: sharing 'uncounted': ZeroDivisionError: uncounted ({}",
        ),
        ({"sweep": [{"fusion": ["sum", "broken"]}]}, "sweep[0].fusion[1]: fusion 'broken': KeyErr"),
        (
            {"model": {"encoders": {"image": "keyless", "text": "lstm"}}},
            "model.encoders.image: encoder 'keyless': KeyError: 'image' ({}:",
        ),
        ({"weighting": "untyped"}, "weighting: weighting 'untyped': TypeError: unsupported oper"),
        (
            {"dataset": "stuck", "tasks": ["script"]},
            "model.heads: head 'stuck' of task 'script': AttributeError: stuck ({}:",
        ),
        ({"dataset": "twice"}, "its `tasks` must be one or more, of different names; found scri"),
        ({"dataset": "unread"}, "dataset 'unread': JSONDecodeError: Expecting property name encl"),
    ],
)
def test_a_component_that_raises_while_planning_is_one_line_with_its_place(
    suite: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    file = write(tmp_path / "raising.py", RAISING)
    load_plugins([file])
    with pytest.raises(InputError) as caught:
        plan(suite | {"sweep": []} | change)
    assert told.format(file) in str(caught.value)
    assert "\n" not in str(caught.value)


FALSE = """
from dataclasses import replace
from mtmm import register
from mtmm.data import DATASETS
from mtmm.data.base import Dataset

def describe():
    data = DATASETS["glyphs"].describe(limit=300)
    return replace(data, tasks=tuple(replace(task, classes=99) for task in data.tasks))

def build():
    return DATASETS["glyphs"](limit=300)

register("dataset", "false")(Dataset(build, describe))
"""


def test_data_that_is_not_what_it_said_trains_nothing(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    load_plugins([write(tmp_path / "false.py", FALSE)])
    cell = next(iter(plan(suite | {"dataset": "false", "sweep": []}).cells("cpu").values()))
    record = run_cell(cell, torch.device("cpu"))
    assert record["status"] == "error"
    assert "its `tasks` must be what `describe` says, (Task(name='script'" in record["reason"]


def test_a_part_that_needs_memory_to_be_made_has_no_size_before(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    load_plugins([write(tmp_path / "raising.py", RAISING)])
    (variant,) = plan(suite | {"sweep": [], "fusion": "reads"}).variants
    assert variant.parameters is None
