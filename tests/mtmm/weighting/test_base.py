"""What every registered weighting must do."""

from __future__ import annotations

import pytest
import torch

from mtmm.weighting import WEIGHTINGS

CPU = torch.device("cpu")
every_weighting = pytest.mark.parametrize("name", WEIGHTINGS)


@every_weighting
@pytest.mark.parametrize("num_tasks", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_finite_weight_a_task(name: str, num_tasks: int, dtype: torch.dtype) -> None:
    weighting = WEIGHTINGS[name]()
    weighting.check(num_tasks)
    state = weighting.init(num_tasks, device=CPU, dtype=dtype)
    weights, after = weighting.step(state, torch.rand(num_tasks, dtype=dtype))
    assert (weights.shape, weights.dtype) == ((num_tasks,), dtype)
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    assert after.keys() == state.keys()


@every_weighting
def test_learned_tensors_are_in_the_state_and_have_gradients(name: str) -> None:
    weighting = WEIGHTINGS[name]()
    state = weighting.init(3, device=CPU, dtype=torch.float32)
    gradients = weighting.parameter_gradients(state, torch.rand(3))
    assert set(gradients) == set(weighting.learned) <= set(state)
    assert all(gradient.shape == state[key].shape for key, gradient in gradients.items())
    assert (weighting.learning_rate > 0) == bool(weighting.learned)


@every_weighting
def test_it_says_what_it_needs_and_in_which_spaces(name: str) -> None:
    weighting = WEIGHTINGS[name]
    assert weighting.needs in ("losses", "gramian", "jacobian")
    assert bool(weighting.spaces) == (weighting.needs != "losses")
    assert weighting.spaces <= {"theta", "z", "last"}
