"""Parts of live training steps: all work has a name, and names change no number."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bench.plugins import load_plugins
from bench.profiling.attribution import Attribution
from bench.profiling.joining import joined
from bench.profiling.parts import belongings
from bench.profiling.scopes import scoped
from bench.profiling.trace import OPERATOR
from bench.profiling.work import total_us
from bench.step import TrainStep
from mtmm.fusion import FUSIONS
from mtmm.model import PathModel
from mtmm.sharing import SHARINGS
from mtmm.spec import Batch, DataBundle
from tests.bench.profiling.steps import IGNORED, config_of, step_of, traced

pytestmark = pytest.mark.filterwarnings(IGNORED)

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "my_net.py"

IMAGE = {f"encoders.image.{stage}" for stage in ("conv1", "conv2", "fc")}
TEXT = {f"encoders.text.{stage}" for stage in ("embedding", "recurrence")}
HEADS = {"heads.script", "heads.slant"}
LOSSES = {"loss.script", "loss.slant"}


def parts(found: Attribution, *directions: str) -> set[str]:
    table = found.table
    return set(table.loc[table["direction"].isin(directions), "part"])


def seen(step: TrainStep, batch: Batch, folder: Path, most: float = 0.05) -> Attribution:
    """What the profiler saw of the step, after a look whether the parts are all of it."""
    for _ in range(3):  # other work on the machine may hold up one operator, of no part
        trace, found = traced(step, batch, folder)
        if found.unattributed_share < most:
            break
    assert found.table["us"].sum() == pytest.approx(total_us(trace), rel=0.01)
    assert found.unattributed_share < most
    return found


@pytest.mark.parametrize("name", SHARINGS)
def test_every_sharing_in_parts(name: str, bundle: DataBundle, tmp_path: Path) -> None:
    found = seen(*step_of(config_of({"sharing": name}), bundle), tmp_path)
    named = IMAGE | TEXT | HEADS | {"fusion"}
    assert parts(found, "forward") >= named | LOSSES
    assert parts(found, "backward") >= named
    assert parts(found, "optimizer") == {"optimizer"}
    assert "weighting" in parts(found, "other", "backward")
    assert not any("::" in part for part in parts(found, "forward", "backward"))


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_in_parts(name: str, bundle: DataBundle, tmp_path: Path) -> None:
    alone = FUSIONS[name].max_modalities == 1
    config = config_of({"fusion": name}, **({"modalities": ["image"]} if alone else {}))
    found = seen(*step_of(config, bundle), tmp_path)
    forward = parts(found, "forward")
    # Fusions of inner features leave out the stages after those.
    assert forward >= {"encoders.image.conv1", "fusion"} | HEADS | LOSSES
    assert alone or "encoders.text.embedding" in forward


def test_a_weighting_with_task_gradients_has_work_of_its_own(
    bundle: DataBundle, tmp_path: Path
) -> None:
    us = {}
    for name in ("equal", "pcgrad"):
        found = seen(*step_of(config_of(weighting=name), bundle), tmp_path)
        table = found.table
        us[name] = table.loc[table["part"] == "weighting", "us"].sum()
        assert parts(found, "backward") >= IMAGE | TEXT | HEADS
    assert us["pcgrad"] > 2 * us["equal"] > 0


def test_clipping_is_a_part(bundle: DataBundle, tmp_path: Path) -> None:
    train = {"epochs": 1, "batch_size": 16, "clip_norm": 1.0}
    assert "clip" in set(seen(*step_of(config_of(train=train), bundle), tmp_path).table["part"])


@pytest.fixture
def my_net(bundle: DataBundle, unloaded_after: None) -> tuple[TrainStep, Batch]:
    """A step of the example of a model of one's own."""
    load_plugins([EXAMPLE])
    config = config_of()
    config["model"] = {"name": "my_net", "channels": 4, "dropout": 0.0}
    return step_of({**config, "modalities": ["image"]}, bundle)


def test_a_model_of_ones_own_by_its_parts(my_net: tuple[TrainStep, Batch], tmp_path: Path) -> None:
    forward = parts(seen(*my_net, tmp_path), "forward")
    assert forward - {"model"} == {"trunk"} | HEADS | LOSSES


def test_a_model_without_parts_is_one_part(
    my_net: tuple[TrainStep, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(my_net[0].model), "parts")
    found = seen(*my_net, tmp_path)
    assert parts(found, "forward") == {"model"} | LOSSES
    assert "model" in parts(found, "backward")


def test_modules_of_a_list_share_the_name_of_their_part(
    my_net: tuple[TrainStep, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = lambda model: {"heads": nn.ModuleList(model.heads.values())}  # noqa: E731
    monkeypatch.setattr(type(my_net[0].model), "parts", heads)
    assert parts(seen(*my_net, tmp_path), "forward") == {"model", "heads"} | LOSSES


def test_a_part_that_a_checkpoint_runs_again_keeps_its_work(
    my_net: tuple[TrainStep, Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, batch = my_net
    trunk: Any = step.model.trunk
    inner = nn.Sequential(*trunk)
    monkeypatch.setattr(trunk, "forward", lambda x: checkpoint(inner, x, use_reentrant=False))
    monkeypatch.setattr(type(step.model), "parts", lambda _: {"outer": trunk, "trunk": inner})
    found = seen(step, batch, tmp_path)
    # The second forward pass ends early, by an exception out of the module.
    assert [note.kind for note in found.notes] == ["checkpointing"]
    assert "trunk" in parts(found, "backward")
    table = found.table.set_index(["part", "direction"])["us"]
    assert table["trunk", "backward"] > table["trunk", "forward"]


@pytest.mark.parametrize("weighting", ["famo", "uncertainty", "gradnorm"])
def test_what_a_weighting_does_after_the_backward_pass_is_its_own(
    weighting: str, bundle: DataBundle, tmp_path: Path
) -> None:
    def without_a_part(name: str) -> int:
        """Operators, which other work on the machine does not change."""
        trace, _ = traced(*step_of(config_of(weighting=name), bundle), tmp_path)
        found = belongings(trace, joined(trace))
        operators = [e.category == OPERATOR for e in trace.events]
        return sum(one.part is None for one in itertools.compress(found, operators))

    # After the step famo looks at all losses again, in operators that are of no part.
    assert without_a_part(weighting) - without_a_part("equal") < 8


VARIANTS: dict[str, dict[str, Any]] = {
    "mmoe": {"model": {"sharing": "mmoe"}},
    "late": {"model": {"fusion": "late_learned"}},
    "pcgrad": {"weighting": "pcgrad"},
    "famo": {"weighting": "famo"},
    "gradnorm": {"weighting": "gradnorm"},
    "clip": {"train": {"epochs": 1, "batch_size": 16, "clip_norm": 0.1}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_change_no_number(variant: str, bundle: DataBundle) -> None:
    config = config_of(**VARIANTS[variant])
    plain, _ = _stepped(config, bundle, scopes=False)
    named, model = _stepped(config, bundle, scopes=True)
    assert len(plain) == len(named) > 2 * len(list(model.parameters()))
    for a, b in zip(plain, named, strict=True):
        assert torch.equal(a, b)


def _stepped(
    config: dict[str, Any], bundle: DataBundle, *, scopes: bool
) -> tuple[list[Tensor], nn.Module]:
    """Losses, gradients and parameters of two steps."""
    torch.manual_seed(0)
    step, batch = step_of(config, bundle)
    if not scopes:
        losses = [step(batch) for _ in range(2)]
    else:
        with scoped(step):
            losses = [step(batch) for _ in range(2)]
    parameters = list(step.model.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    return [*losses, *gradients, *(p.detach() for p in parameters)], step.model


def test_everything_is_as_before_even_after_an_error(bundle: DataBundle) -> None:
    step, batch = step_of(config_of({"fusion": "late_learned"}), bundle)
    before = step.descent, step.weighting, step.clip
    with scoped(step):
        step(batch)
        assert _hooks(step.model) > 0
    assert _hooks(step.model) == 0
    with pytest.raises(AttributeError, match="'NoneType'"), scoped(step):
        step(None)  # type: ignore[arg-type]
    assert _hooks(step.model) == 0
    assert (step.descent, step.weighting, step.clip) == before
    assert not any("loss" in vars(objective) for objective in step.objectives.values())
    step(batch)


def _hooks(model: nn.Module) -> int:
    assert isinstance(model, PathModel)
    found = ((m._forward_hooks, m._forward_pre_hooks) for m in model.modules())
    return sum(len(after) + len(ahead) for after, ahead in found)
