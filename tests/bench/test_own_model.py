"""A model of one's own: in every table like ours, and told with its line where it does not fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.cli import main

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"

pytestmark = pytest.mark.usefixtures("unloaded_after")


def suite_of(name: str, folder: Path, **changes: Any) -> Path:
    """An example's suite with other settings, as a file."""
    value = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    value["dataset"]["limit"] = changes.pop("limit")
    value["train"] |= {"epochs": 1, "batch_size": 32}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(value | changes, sort_keys=False), encoding="utf-8")
    return path


def test_a_network_of_forty_lines_is_in_every_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = EXAMPLES / "my_net.py"
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 40
    timing = {"modes": ["train"], "budget_s": 0.1}
    suite = suite_of("my_net", tmp_path, limit=300, seeds=2, timing=timing)
    results = tmp_path / "results"
    assert main(["run", str(suite), "--plugin", str(file), "--results", str(results), "-q"]) == 0
    variants = {
        f"{weighting}-dropout={rate}"
        for weighting in ("equal", "uncertainty", "pcgrad")
        for rate in ("0", "0.2")
    }
    assert capsys.readouterr().out.count("pcgrad-") >= 4  # two variants in scores and in costs
    folder = results / "my-net"
    frame = bench.load(folder)
    assert set(frame["variant"]) == variants
    assert set(frame["status"]) == {"ok"}
    timed = frame[frame["kind"] == "time"]
    assert set(timed["time.backward"]) == {"joint", "per_task"}  # pcgrad took task gradients
    assert (
        timed[["time.step_ms", "flops.trunk.forward", "flops.heads.script.backward"]]
        .gt(0)
        .all(axis=None)
    )
    written = [folder / "report.md", folder / "report.html", folder / "comparison.csv"]
    for path in (*written, folder / "tables" / "accuracy.tex", folder / "tables" / "cost.tex"):
        text = path.read_text(encoding="utf-8").replace("&#61;", "=")
        assert all(variant in text for variant in variants), path


def test_torchvisions_segmentation_model_kept_whole(tmp_path: Path) -> None:
    file = EXAMPLES / "my_segmentation.py"
    suite = suite_of("my_segmentation", tmp_path, limit=100, seeds=1, timing="off")
    results = tmp_path / "results"
    assert main(["run", str(suite), "--plugin", str(file), "--results", str(results), "-q"]) == 0
    frame = bench.load(results / "my-segmentation")
    assert list(frame["variant"]) == ["equal", "uncertainty", "pcgrad"]
    assert frame["test.ink.miou"].between(0, 1).all()
    assert frame["test.script.accuracy"].between(0, 1).all()


BROKEN = [
    # what stands there, what in its place, and what is said; {} is the file
    (
        "from torch import nn",
        "import nothing_there\nfrom torch import nn",
        "{}:3: ModuleNotFoundEr",
    ),
    ("super().__init__()", "super().__init__(", "{}:14: not Python: '(' was never closed"),
    (
        "def forward",
        "def forwards",
        "{}:9: model 'my_net' must define `forward`; found that of Mo",
    ),
    ("(self, inputs, present)", "(self, inputs)", "must take the call `forward(inputs, present)`;"),
    (
        "bundle, *,",
        "*, bundle,",
        "{}:9: model 'my_net' (its constructor) must take (bundle); found ()",
    ),
]
FAILING = [
    ("return ModelOutput(outputs=outputs, ", "return dict(outputs=outputs, ", "found a dict"),
    ("return ModelOutput", "made = ModelOutput", "({}:28): `forward` must return an mtmm.spec.Mo"),
    (
        "in self.heads.items()}\n        return",
        "in [*self.heads.items()][:1]}\n        return",
        "`outputs` must have every task; weight is not there, only script",
    ),
    ("self.trunk(inputs", "self.trnk(inputs", "'MyNet' object has no attribute 'trnk' ({}:30)"),
    ('inputs["image"]', 'inputs["picture"]', "KeyError: 'picture' ({}:30)"),
    ("nn.Linear(32 *", "nn.Linear(31 *", "shapes cannot be multiplied (4x256 and 248x16) ({}:31)"),
    ("task.classes)", "task.classes - 1)", "the output of task 'script' must be a tensor [4, 16]"),
    ("head(z) for", "head(z)[0] for", "and the batch has 4 samples; found [16] on cpu"),
    ("head(z) for", "head(z).tolist() for", "must be a tensor [4, 16] on cpu, as its kind is 'cl"),
    ("bundle.tasks", "bundle.task_list", "has no attribute 'task_list' ({}:25)"),
    (
        "        heads = {",
        "        self.unit = torch.ones(1, device='meta')\n        heads = {",
        "tensors that a model keeps must be parameters or buffers, which move with it; Runt",
    ),
    (
        "        heads = {",
        "        self.unit = nn.Parameter(torch.ones(1, device='meta'))\n        heads = {",
        "parameters must be on a device that holds their numbers; 'unit' is on meta",
    ),
    ("head(z) for", "head(z).double() for", "must be float32, or less under autocast; found to"),
    ("head(z) for", "head(z).detach() for", "must come from parameters that are trained; it has"),
    ("nn.Linear(32 * channels, task.classes)", "nn.LazyLinear(task.classes)", "layers must be giv"),
    ("outputs=outputs, ", 'outputs=outputs, auxiliary={"l1": z.sum()}, ', "`auxiliary` losses are"),
    ("def shared_space", "def space", "the weighting takes task gradients in theta, which a `s"),
    ("tuple(self.trunk.par", "tuple(nn.Linear(2, 2).par", "`shared_space` must name parameters of"),
    ("tuple(self.trunk.par", 'tuple(self.heads["script"].par', "at least two tasks must use the p"),
    (
        'return SharedSpace(theta={"trunk": tuple(self.trunk.parameters())}, last=self.trunk[3])',
        "return self.trunk",
        "`shared_space` of 'MyNet' must return an mtmm.spec.SharedSpace; found a Sequential",
    ),
]


IN_Z = [
    ("z=(z,)", "z=(z * 1,)", "all that tasks share must go through the `z` of its ModelOutput; 4 "),
    ("z=(z,)", "z=(self.trunk[:4](inputs['image']),)", "all that tasks share must go through the"),
    ("SharedSpace(z=(z,))", "SharedSpace()", "which the `shared` of its ModelOutput has to name"),
]


@pytest.mark.parametrize(("old", "new", "message"), IN_Z)
def test_a_representation_that_is_none_is_told(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    file, suite = broken(tmp_path, old, new)
    command = ["run", str(suite), "--plugin", str(file), "--results", str(tmp_path / "r"), "-q"]
    assert main([*command, "--set", "weighting={name: mgda, space: z}"]) == 1
    (row,) = bench.load(tmp_path / "r" / "my-net").to_dict("records")
    assert message in row["reason"]


def broken(folder: Path, old: str, new: str) -> tuple[Path, Path]:
    text = (EXAMPLES / "my_net.py").read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    if "self.unit" in new:
        text = text.replace("from torch import nn", "import torch\nfrom torch import nn")
        text = text.replace(
            'self.trunk(inputs["image"])', 'self.trunk(inputs["image"]) * self.unit'
        )
    file = folder / "my_net.py"
    file.write_text(text, encoding="utf-8")
    suite = suite_of("my_net", folder, limit=100, seeds=1, timing="off", sweep=[])
    return file, suite


@pytest.mark.parametrize(("old", "new", "message"), BROKEN)
def test_what_cannot_be_called_is_told_before_anything_runs(
    old: str, new: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, suite = broken(tmp_path, old, new)
    results = tmp_path / "results"
    assert main(["run", str(suite), "--plugin", str(file), "--results", str(results)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message.replace("{}", str(file)) in err
    assert not results.exists()


@pytest.mark.parametrize(("old", "new", "message"), FAILING)
def test_what_does_not_fit_is_told_with_its_line_before_the_first_step(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    file, suite = broken(tmp_path, old, new)
    results = tmp_path / "results"
    set_weighting = ["--set", "weighting=pcgrad"]
    command = ["run", str(suite), "--plugin", str(file), "--results", str(results), "-q"]
    assert main([*command, *set_weighting]) == 1
    (row,) = bench.load(results / "my-net").to_dict("records")
    assert row["status"] == "error"
    assert message.replace("{}", str(file)) in re.sub(r"\s+", " ", row["reason"])
