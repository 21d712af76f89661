"""The JSON Schema says yes to what plans and no to what an editor should mark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator

from bench.cli import main
from bench.document import parse
from bench.schema import suite_schema, type_schema
from bench.settings import train
from mtmm.settings import Range, check, settings_of

ROOT = Path(__file__).resolve().parents[2]
BAD = (ROOT / "tests" / "bench" / "bad_suites.txt").read_text(encoding="utf-8")
VALIDATOR = Draft202012Validator(suite_schema())
GOOD = {
    "name": "small",
    "dataset": {"name": "glyphs", "limit": 300},
    "model": {"encoders": {"image": "lenet", "text": "lstm"}},
}


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(suite_schema())


def test_the_file_beside_the_suites_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    file = ROOT / "suites" / "suite.schema.json"
    assert file.read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(ROOT.glob("suites/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_suite_is_valid_and_refers_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=suite.schema.json\n")
    VALIDATOR.validate(parse(text, str(path)).value)


@pytest.mark.parametrize(
    "more",
    [
        {
            "sweep": [
                {"fusion": ["sum", {"name": "gated", "gate": "text"}], "fusion.gate": ["image"]}
            ]
        },
        {"sweep": [{"encoders.image.channels": [2, 4], "model.encoders.text": ["lstm"]}]},
        {"sweep": [{"zip": {"train.epochs": [1, 2], "train.optimizer.lr": [0.1, 1]}}]},
        {"sweep": [{"simplex": {"points": 4}, "weighting": ["static"]}]},
        {"sweep": [{"train.lr_scale.encoders.image": [0.1, 1]}]},
        {
            "ablate": {
                "fusion": "sum",
                "weighting": ["static"],
                "tasks": "each",
                "modalities": ["image"],
            }
        },
        {"exclude": [{"when": {"fusion": "sum"}, "reason": "r"}], "single_task": "off"},
        {"family": {"except": {"weighting": "static"}, "best": {"weighting.name": "static"}}},
        {"family": {}},
        {"train": {"schedule": "cosine", "clip_norm": 1, "class_weights": {"slant": [1, 2]}}},
        {"sweep": [{"fusion.name": ["sum", "concat"], "train.optimizer.name": ["sgd"]}]},
        {"sweep": [{"dataset.name": ["glyphs"], "encoders.image.name": ["resnet18"]}]},
        {"sweep": [{"model.encoders.image.name": ["lenet"], "weighting.name": ["static"]}]},
        {"sweep": [{"train.class_weights.slant": ["balanced", [1, 2]]}]},
        {"tasks": None, "modalities": None, "sweep": [{"tasks": [None, ["slant"]]}]},
        {"ablate": {"tasks": ["slant", "slant"]}},
        {
            "exclude": [
                {"when": {"train.optimizer": {"nesterov": True}}, "reason": "r"},
                {"when": {"model": {"fusion": {"gate": None}, "width": 8}}, "reason": "r"},
                {"when": {"train": {"optimizer": "sgd", "max_steps": None}}, "reason": "r"},
                {"when": {"encoders": {"image": {"channels": 2}}}, "reason": "r"},
                {"when": {"dataset": {"limit": 300}, "fusion.name": "sum"}, "reason": "r"},
            ]
        },
        {
            "seeds": [0, 5],
            "timing": "off",
            "baseline": {"train.optimizer": "sgd"},
            "max_params": 1e6,
        },
    ],
)
def test_what_plans_is_valid(more: dict[str, Any]) -> None:
    VALIDATOR.validate({**GOOD, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"swep": []},
        {"fusion": "conact"},
        {"sweep": [{"fuson": ["sum"]}]},
        {"sweep": [{"fusion": "sum"}]},
        {"sweep": [{"fusion": []}]},
        {"sweep": [{"fusion": ["conact"]}]},
        {"sweep": [{"train.epochs": ["many"]}]},
        {"sweep": [{"encoders.image.chanels": [2]}]},
        {"train": {"epochs": 0}},
        {"train": {"optimizer": {"name": "adam", "lr": -1}}},
        {"train": {"optimizer": {"lr": 0.1}}},
        {"timing": "of"},
        {"seeds": 0},
        {"name": "../x"},
        {"exclude": [{"when": {"fusion": "sum"}}]},
        {"exclude": [{"when": {"train.optimizer": {"nestrov": True}}, "reason": "r"}]},
        {"exclude": [{"when": {"fusion": "smu"}, "reason": "r"}]},
        {"family": {"best": {"fusion": "smu"}}},
        {"family": {"expect": {"fusion": "sum"}}},
        {"sweep": [{"fusion.name": ["smu"]}]},
        {"sweep": [{"train.lr_scale.fusion": [0]}]},
        {"sweep": [{"train.optimizer": [{"nesterov": True}]}]},
        {"ablate": {"tasks": []}},
        {"numerics": {"memory_format": "channel_last"}},
        {"single_task": "yes"},
    ],
)
def test_what_is_wrong_is_marked(more: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**GOOD, **more})


def test_it_marks_most_of_the_wrong_suites() -> None:
    """All but those that take the data, other parts or YAML itself to see."""
    good = BAD.partition(">>>")[0]
    assert good
    cases = re.findall(r"^=== .*?\n\.\.\.\n(.*?)\n>>>\n", BAD, re.DOTALL | re.MULTILINE)
    marked = total = 0
    for text in cases:
        try:
            value = parse(text + "\n", "f").value
        except ValueError:
            continue
        total += 1
        marked += not VALIDATOR.is_valid({**GOOD, **value})
    assert total > 40
    assert marked / total > 0.5


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (int, [0, 1.5, "1", None]),
        (float, [0, 1.5, "1", None]),
        (str, ["a", 1]),
        (bool, [True, 0, "true"]),
        (Annotated[int, Range(low=1, high=3)], [0, 1, 3, 4]),
        (Annotated[float, Range(above=0, below=1)], [0, 0.5, 1]),
        (Literal["a", "b"], ["a", "c", 1]),
        (list[Annotated[int, Range(low=1)]], [[1, 2], [0], 1, []]),
        (dict[str, float], [{"a": 1.0}, {"a": "b"}, {}, []]),
        (int | None, [1, None, "a"]),
        (Literal["x"] | list[float], ["x", [1.0], "y", ["x"]]),
    ],
)
def test_a_type_takes_what_the_checks_take(annotation: Any, values: list[Any]) -> None:
    validator = Draft202012Validator(type_schema(annotation))
    for value in values:
        assert validator.is_valid(value) == (check(annotation, value)[1] is None), value


def test_every_setting_of_a_section_is_in_it() -> None:
    schema = suite_schema()
    properties = schema["$defs"]["train"]["properties"]
    assert set(properties) == {*settings_of(train), "optimizer", "schedule"}
    json.dumps(schema, allow_nan=False)
