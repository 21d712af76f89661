from __future__ import annotations

import pytest
import torch

from mtmm.weighting.static import Static

LOSSES = torch.tensor([0.1, 5.0, 0.0], dtype=torch.float64)


def stepped(weighting: Static) -> torch.Tensor:
    state = weighting.init(3, device=LOSSES.device, dtype=LOSSES.dtype)
    weights, after = weighting.step(state, LOSSES)
    assert after is state
    return weights


def test_the_weights_are_those_given() -> None:
    weights = stepped(Static(weights=[0.5, 2.0, 0.0]))
    assert weights.tolist() == [0.5, 2.0, 0.0]
    assert weights.dtype == LOSSES.dtype


def test_without_weights_all_are_1() -> None:
    weighting = Static()
    weighting.check(3)
    assert stepped(weighting).tolist() == [1, 1, 1]


def test_weights_must_fit_the_tasks() -> None:
    Static(weights=[0.0, 1.0]).check(2)
    with pytest.raises(
        ValueError, match=r"`weights` needs one number for each of the 3 tasks; .* 2"
    ):
        Static(weights=[1.0, 2.0]).check(3)
    with pytest.raises(
        ValueError, match=r"`weights` needs one number for each of the 2 tasks; .* 0"
    ):
        Static(weights=[]).check(2)
    with pytest.raises(ValueError, match="`weights` needs at least one number above 0"):
        Static(weights=[0.0, 0.0]).check(2)
