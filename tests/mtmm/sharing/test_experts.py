"""MMoE, DSelect-k, CGC and PLE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mtmm.model import PathModel
from mtmm.sharing.gates import Selectors, mixed, smooth_step
from mtmm.spec import Batch

MakeModel = Callable[..., PathModel]
FUSIONS = ["concat", "early", "late_product"]
SHARINGS: list[dict[str, Any]] = [
    {"name": "mmoe"},
    {"name": "dselect_k"},
    {"name": "dselect_k", "experts": 2, "k": 1},
    {"name": "cgc", "shared": 2, "own": 2},
    {"name": "ple"},
    {"name": "ple", "levels": 3},
]
every_sharing = pytest.mark.parametrize(
    "sharing", SHARINGS, ids=lambda s: "-".join(map(str, s.values()))
)


def _long_enough(fusion: str, sharing: dict[str, Any]) -> dict[str, Any]:
    """A text encoder with as many stages as levels where encoders end at their tokens."""
    if fusion == "early" and sharing.get("levels") == 3:
        return {"text": {"name": "transformer", "layers": 2}}
    return {}


def _size(model: PathModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_expert_is_hard_sharing(fusion: str, make_model: MakeModel, batch: Batch) -> None:
    hard = make_model(fusion, name="hard")
    one = make_model(fusion, name="mmoe", experts=1)
    assert _size(one) == _size(hard)
    ours, theirs = (m(batch.inputs, batch.present).outputs for m in (one, hard))
    for task in ours:
        assert torch.equal(ours[task], theirs[task])


@pytest.mark.parametrize("fusion", FUSIONS)
@every_sharing
def test_every_parameter_gets_a_gradient(
    fusion: str, sharing: dict[str, Any], make_model: MakeModel, batch: Batch
) -> None:
    model = make_model(fusion, encoders=_long_enough(fusion, sharing), **sharing)
    outputs = model(batch.inputs, batch.present).outputs
    torch.stack([(o * torch.randn_like(o)).sum() for o in outputs.values()]).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert (parameter.grad != 0).any(), key


@every_sharing
def test_experts_start_differently_and_the_seed_decides(
    sharing: dict[str, Any], make_model: MakeModel
) -> None:
    model, again = make_model(**sharing), make_model(**sharing)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    firsts = [p for name, p in model.named_parameters() if "conv1" in name and p.dim() == 4]
    assert len({tuple(p.flatten().tolist()) for p in firsts}) == len(firsts)


def test_parameters_by_a_formula(make_model: MakeModel) -> None:
    image = [2 * 25 + 2, 4 * 2 * 25 + 4, 4 * 2 * 2 * 8 + 8]
    text = [9 * 3, 4 * 8 * (3 + 8 + 2), 0]
    path, heads = sum(image) + sum(text) + 16 * 8 + 8, 8 * 3 + 3 + 8 * 4 + 4
    look, seen = image[0] + text[0], 2 + 3

    def gate(experts: int, width: int = seen) -> int:
        return width * experts + experts

    assert _size(make_model(name="mmoe")) == 3 * path + 2 * (look + gate(3)) + heads
    selectors = 2 * (look + gate(4) + gate(2))
    assert _size(make_model(name="dselect_k")) == 4 * path + selectors + heads
    cgc = _size(make_model(name="cgc", shared=2, own=1))
    assert cgc == 4 * path + 2 * (look + gate(3)) + heads
    ple = _size(make_model(name="ple"))
    # One stage in the first group, two in the second: gates see the first stage, then the stream.
    gates = 2 * gate(2) + gate(3) + 2 * gate(2)
    assert ple == 3 * path + 3 * look + gates + heads


def test_selectors_come_to_choose_k_experts() -> None:
    torch.manual_seed(0)
    gate = Selectors(width=3, experts=8, k=2)
    weights = gate(torch.randn(5, 3))
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(5))
    with torch.no_grad():
        gate.codes.bias.copy_(torch.tensor([1.0, -1, -1, -1, 1, 1]))  # numbers 1 and 6
    chosen = gate(torch.zeros(5, 3))
    assert (chosen > 0).sum(1).tolist() == [2] * 5
    assert (chosen[0] > 0).nonzero()[:, 0].tolist() == [1, 6]


def test_the_smooth_step() -> None:
    x = torch.tensor([-9.0, -0.5, 0.0, 0.5, 9.0])
    assert smooth_step(x).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_a_mixture_is_a_weighted_sum() -> None:
    weights, parts = torch.rand(4, 3), [torch.randn(4, 2, 5) for _ in range(3)]
    expected = sum(weights[:, i, None, None] * part for i, part in enumerate(parts))
    torch.testing.assert_close(mixed(weights, parts), expected)


@pytest.mark.parametrize(
    ("sharing", "text"),
    [
        (
            {"name": "dselect_k", "experts": 3},
            "`experts` must be a power of 2, at least 2; found 3",
        ),
        ({"name": "dselect_k", "experts": 2, "k": 3}, "`k` must be at most the number of experts"),
        ({"name": "ple", "levels": 4}, "`levels` must be at most the stages of the longest encod"),
    ],
)
def test_too_few_experts_or_stages_are_refused(
    sharing: dict[str, Any], text: str, make_model: MakeModel
) -> None:
    with pytest.raises(ValueError, match=text):
        make_model(**sharing)
