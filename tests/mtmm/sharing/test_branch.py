from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mtmm.model import PathModel
from mtmm.paths import Path
from mtmm.spec import Batch

MakeModel = Callable[..., PathModel]
STAGES = 3  # of both
FUSIONS = ["concat", "early", "late_product"]


def _size(model: PathModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("depth", "like"), [(0, "separate"), (None, "hard")])
def test_its_ends_are_separate_and_hard_bit_for_bit(
    fusion: str, depth: int | None, like: str, make_model: MakeModel, batch: Batch
) -> None:
    other = make_model(fusion, name=like)
    stages = 2 if fusion == "early" else STAGES  # which ends at the tokens
    made = make_model(fusion, name="branch", depth=stages + 1 if depth is None else 0)
    assert _size(made) == _size(other)
    for model in (made, other):
        outputs = model(batch.inputs, batch.present).outputs
        torch.stack([output.square().sum() for output in outputs.values()]).sum().backward()
    ours, theirs = (m(batch.inputs, batch.present).outputs for m in (made, other))
    for task in ours:
        assert torch.equal(ours[task], theirs[task])
    gradients = [sorted(p.grad.norm().item() for p in m.parameters()) for m in (made, other)]  # type: ignore[union-attr]
    assert gradients[0] == gradients[1]


def test_parameters_by_a_formula(make_model: MakeModel) -> None:
    image = [2 * 25 + 2, 4 * 2 * 25 + 4, 4 * 2 * 2 * 8 + 8]
    text = [9 * 3, 4 * 8 * (3 + 8 + 2), 0]
    stages = [one + other for one, other in zip(image, text, strict=True)]
    fusion, heads = 16 * 8 + 8, 8 * 3 + 3 + 8 * 4 + 4
    for depth in range(STAGES + 1):
        shared, own = sum(stages[:depth]), sum(stages[depth:]) + fusion
        made = make_model(name="branch", depth=depth)
        assert _size(made) == shared + 2 * own + heads
        assert made(*_inputs()).outputs["left"].shape == (2, 3)


def _inputs() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    inputs = {"image": torch.zeros(2, 1, 8, 8), "text": torch.ones(2, 4, dtype=torch.int64)}
    return inputs, {name: torch.ones(2, dtype=torch.bool) for name in inputs}


def test_a_depth_beyond_the_encoders_is_refused(make_model: MakeModel) -> None:
    text = "`depth` must be at most 4, 3 stages of the longest encoder and the fusion; found 5"
    with pytest.raises(ValueError, match=text):
        make_model(name="branch", depth=5)


def test_a_shorter_encoder_is_shared_as_a_whole(make_model: MakeModel) -> None:
    made = make_model(encoders={"text": {"name": "transformer"}}, name="branch", depth=3)
    trunk, *branches = (module for module in made.modules() if isinstance(module, Path))
    assert [len(path.stages("image")) for path in (trunk, *branches)] == [3, 0, 0]
    assert [len(path.stages("text")) for path in (trunk, *branches)] == [3, 1, 1]
