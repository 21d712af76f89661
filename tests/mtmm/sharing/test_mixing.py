"""Cross-stitch, NDDR and MTAN."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mtmm.model import PathModel
from mtmm.sharing.cross_stitch import Stitch
from mtmm.sharing.nddr import Reduction
from mtmm.spec import Batch

MakeModel = Callable[..., PathModel]
FUSIONS = ["concat", "gmu", "early", "late_product"]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("name", ["cross_stitch", "nddr"])
def test_with_nothing_of_the_others_they_are_separate(
    fusion: str, name: str, make_model: MakeModel, batch: Batch
) -> None:
    alone = make_model(fusion, name="separate")(batch.inputs, batch.present).outputs
    mixed = make_model(fusion, name=name, own=1.0)
    for task, output in mixed(batch.inputs, batch.present).outputs.items():
        torch.testing.assert_close(output, alone[task])
    stirred = make_model(fusion, name=name)(batch.inputs, batch.present).outputs
    assert not torch.allclose(stirred["left"], alone["left"], atol=1e-4)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("name", ["cross_stitch", "nddr", "mtan"])
def test_every_parameter_gets_a_gradient(
    fusion: str, name: str, make_model: MakeModel, batch: Batch
) -> None:
    model = make_model(fusion, name=name)
    outputs = model(batch.inputs, batch.present).outputs
    torch.stack([(o * torch.randn_like(o)).sum() for o in outputs.values()]).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert (parameter.grad != 0).any(), key


def test_what_is_not_ones_own_is_spread_over_the_others(make_model: MakeModel) -> None:
    model = make_model(name="cross_stitch", own=0.7)
    (first, *_) = (module for module in model.modules() if isinstance(module, Stitch))
    torch.testing.assert_close(first.weight, torch.tensor([[0.7, 0.3], [0.3, 0.7]]))


def test_a_stitch_is_a_linear_combination_of_the_tasks() -> None:
    stitch = Stitch(torch.full((3, 3), 0.1).fill_diagonal_(0.8))
    x = torch.randn(3, 2, 4, 5)
    expected = torch.stack([0.8 * x[i] + 0.1 * (x.sum(0) - x[i]) for i in range(3)])
    torch.testing.assert_close(stitch(x), expected)


def test_a_reduction_is_a_linear_layer_over_all_tasks_channels() -> None:
    torch.manual_seed(0)
    reduction = Reduction(torch.eye(2), 3)
    with torch.no_grad():
        reduction.weight.normal_()
        reduction.bias.normal_()
    x = torch.randn(2, 4, 5, 3)
    out = reduction(x)
    every = torch.cat([x[0], x[1]], dim=-1)
    for task in range(2):
        weight = torch.cat([reduction.weight[task, 0], reduction.weight[task, 1]], dim=1)
        torch.testing.assert_close(out[task], every @ weight.T + reduction.bias[task])


def test_parameters_by_a_formula(make_model: MakeModel) -> None:
    channels = [2, 4, 8, 3, 8, 8]  # of the stages of image and text
    sizes = {
        name: sum(p.numel() for p in make_model(name=name).parameters())
        for name in ("separate", "hard", "cross_stitch", "nddr", "mtan")
    }
    stitches = len(channels) + 1
    assert sizes["cross_stitch"] == sizes["separate"] + 4 * stitches
    reduced = sum(4 * c * c + 2 * c for c in (*channels, 8))
    assert sizes["nddr"] == sizes["separate"] + reduced
    # The first masks of image and text, 2 and 3 channels, see the shared path alone.
    masks = sum(2 * c * c + c + c * c + c for c in channels) - 2 * 2 - 3 * 3
    assert sizes["mtan"] == sizes["hard"] + 2 * masks


@pytest.mark.parametrize("name", ["cross_stitch", "nddr", "mtan"])
def test_one_task_is_refused(name: str, make_model: MakeModel) -> None:
    with pytest.raises(ValueError, match="is for 2 or more tasks; found 1"):
        make_model(tasks=["left"], name=name)


def test_statistics_of_mtan_are_those_of_each_task(make_model: MakeModel) -> None:
    """In evaluation a network that has seen one batch often does what it does in training."""
    torch.manual_seed(0)
    resnet = {"image": {"name": "resnet18"}}
    image = 3 + 2 * torch.randn(256, 1, 8, 8)
    inputs = {"image": image, "text": torch.ones(256, 4, dtype=torch.int64)}
    present = {name: torch.ones(256, dtype=torch.bool) for name in inputs}
    for name in ("hard", "mtan"):
        model = make_model(encoders=resnet, name=name)
        with torch.no_grad():
            for _ in range(100):  # at a momentum of 0.1
                trained = model(inputs, present).outputs
            evaluated = model.eval()(inputs, present).outputs
        for task, output in trained.items():
            gap = (evaluated[task] - output).norm() / output.norm()
            assert gap < 0.05, (name, task)
