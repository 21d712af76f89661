"""What every registered sharing must do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mtmm.model import PathModel, build_model
from mtmm.paths import Path
from mtmm.settings import ConfigError
from mtmm.sharing import SHARINGS
from mtmm.sharing.base import Sharing
from mtmm.spec import Batch, Description

every_sharing = pytest.mark.parametrize("name", SHARINGS)


def _model(name: str, description: Description) -> PathModel:
    encoders = {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}}
    config: dict[str, Any] = {"encoders": encoders, "sharing": name, "width": 6}
    model = build_model(config, description)
    assert isinstance(model, PathModel)
    return model


@every_sharing
def test_the_spaces_it_says_it_has_are_there(
    name: str, description: Description, batch: Batch
) -> None:
    model = _model(name, description)
    shared = model(batch.inputs, batch.present).shared
    there = {
        "theta": bool(shared.theta),
        "z": shared.z is not None,
        "last": shared.last is not None,
    }
    assert {space for space, exists in there.items() if exists} == SHARINGS[name].spaces


@every_sharing
def test_theta_is_what_more_than_one_task_uses(
    name: str, description: Description, batch: Batch
) -> None:
    model = _model(name, description)
    output = model(batch.inputs, batch.present)
    users: dict[str, int] = dict.fromkeys(dict(model.named_parameters()), 0)
    for logits in output.outputs.values():
        gradients = torch.autograd.grad(
            logits.sum(), list(model.parameters()), allow_unused=True, retain_graph=True
        )
        for parameter, gradient in zip(users, gradients, strict=True):
            users[parameter] += gradient is not None
    theta = {id(p) for group in output.shared.theta.values() for p in group}
    named = dict(model.named_parameters())
    assert {key for key, count in users.items() if count > 1} == {
        key for key, parameter in named.items() if id(parameter) in theta
    }
    assert min(users.values()) == 1


@every_sharing
def test_islands_are_tasks_that_do_not_reach_each_other(
    name: str, description: Description, batch: Batch
) -> None:
    model = _model(name, description)
    outputs = model(batch.inputs, batch.present).outputs
    islands = model.islands()
    assert [task for island in islands for task in island.tasks] == ["left", "right"]
    assert (len(islands) == len(outputs)) is SHARINGS[name].independent
    for tasks, parameters in islands:
        mine = {id(parameter) for parameter in parameters}
        assert len(mine) == len(parameters)
        total = torch.stack([outputs[task].sum() for task in tasks]).sum()
        gradients = torch.autograd.grad(
            total, list(model.parameters()), allow_unused=True, retain_graph=True
        )
        used = zip(model.parameters(), gradients, strict=True)
        assert mine == {id(p) for p, gradient in used if gradient is not None}


def test_an_independent_sharing_must_name_its_islands() -> None:
    class Silent(Sharing):
        independent = True

    with pytest.raises(NotImplementedError, match="Silent is independent and has no `islands`"):
        Silent(lambda users: Path([], [], nn.Identity()), ["a"]).islands()  # type: ignore[arg-type]


@every_sharing
def test_independent_means_that_nothing_is_shared(name: str) -> None:
    assert SHARINGS[name].independent is (not SHARINGS[name].spaces)


@every_sharing
@pytest.mark.parametrize("tasks", [["left"], ["left", "right"]])
def test_the_number_of_paths_is_known_before(
    name: str, tasks: list[str], description: Description
) -> None:
    if len(tasks) < SHARINGS[name].fewest_tasks:
        with pytest.raises(ConfigError, match=f"'{name}' is for 2 or more tasks; found 1"):
            _model(name, description.select(["image", "text"], tasks))
        return
    chosen = description.select(["image", "text"], tasks)
    model = _model(name, chosen)
    paths = [module for module in model.modules() if isinstance(module, Path)]
    wholes = SHARINGS[name].path_count(len(tasks))
    size = sum(p.numel() for p in _model("hard", chosen).sharing.parameters())
    beside = sum(p.numel() for p in model.sharing.parameters())
    if SHARINGS[name].whole_paths:
        assert len(paths) == wholes
        assert beside == wholes * size
    elif name not in ("cross_stitch", "nddr", "mtan"):
        # Beside their paths they have gates, which see a first stage of their own.
        outside = sum(p.numel() for p in model.parts()["sharing"].parameters())
        first = sum(p.numel() for stage in _first_stages(chosen) for p in stage.parameters())
        slack = outside + (len(tasks) + 1) * first
        assert slack < size
        assert beside <= wholes * size + slack


def _first_stages(description: Description) -> list[nn.Module]:
    (path,) = (m for m in _model("hard", description).modules() if isinstance(m, Path))
    return path.level(0)


@every_sharing
def test_where_modalities_meet_before_they_are_fused(
    name: str, description: Description, batch: Batch
) -> None:
    """Only there does what one modality's columns hold depend on another's input."""
    encoders = {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}}
    config: dict[str, Any] = {
        "encoders": encoders,
        "sharing": name,
        "fusion": "late_product",
        "width": 6,
    }
    model = build_model(config, description).eval()
    assert isinstance(model, PathModel)
    with torch.no_grad():
        for parameter in model.sharing.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    there = {name: torch.ones_like(present) for name, present in batch.present.items()}
    other = {**batch.inputs, "text": batch.inputs["text"].roll(1, 0)}
    before, after = (model(inputs, there).features for inputs in (batch.inputs, other))
    columns = slice(0, 6)  # of the image
    assert not torch.equal(batch.inputs["text"], other["text"])
    alike = all(
        torch.allclose(before[task].vector[:, columns], after[task].vector[:, columns], atol=1e-6)
        for task in model.tasks
    )
    assert alike != SHARINGS[name].joins_modalities


@every_sharing
def test_it_runs_under_autocast(name: str, description: Description, batch: Batch) -> None:
    model = _model(name, description)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(batch.inputs, batch.present).outputs
    torch.stack([output.float().square().mean() for output in outputs.values()]).sum().backward()
    for output in outputs.values():
        assert torch.isfinite(output).all()
