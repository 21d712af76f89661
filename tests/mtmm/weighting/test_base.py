"""What every registered weighting must do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting import WEIGHTINGS, build
from mtmm.weighting.base import State, Weighting

CPU = torch.device("cpu")
SIZE = 6
every_weighting = pytest.mark.parametrize("name", WEIGHTINGS)


def stepped(
    method: Weighting, tasks: int, dtype: torch.dtype, device: torch.device = CPU
) -> tuple[Tensor, State, State]:
    """What a step gives, and the state before and after."""
    given: Any = method  # the kinds of `step` differ
    generator = torch.Generator(device).manual_seed(0)
    rows = torch.randn(tasks, SIZE, generator=generator, device=device, dtype=dtype)
    losses = torch.rand(tasks, generator=generator, device=device, dtype=dtype) + 0.1
    size = SIZE if method.needs == "jacobian" else tasks
    state = given.init(tasks, num_params=SIZE, device=device, dtype=dtype)
    state = given.draw(state, size, generator)
    matrix = {"losses": (), "gramian": (rows @ rows.mT,), "jacobian": (rows,)}[method.needs]
    result, after = given.step(state, losses, *matrix)
    if method.learned:
        given.parameter_gradients(after, losses, *matrix)
    return result, state, method.epoch_end(method.after_step(after, losses), losses)


@every_weighting
@pytest.mark.parametrize("num_tasks", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_finite_weight_a_task(name: str, num_tasks: int, dtype: torch.dtype) -> None:
    weighting = WEIGHTINGS[name]()
    weighting.check(num_tasks)
    result, state, after = stepped(weighting, num_tasks, dtype)
    length = SIZE if weighting.needs == "jacobian" else num_tasks
    assert (result.shape, result.dtype) == ((length,), dtype)
    assert result.isfinite().all()
    assert after.keys() == state.keys()


@every_weighting
def test_learned_tensors_are_in_the_state_and_have_gradients(name: str) -> None:
    weighting = WEIGHTINGS[name]()
    given: Any = weighting
    state = given.init(3, num_params=SIZE, device=CPU, dtype=torch.float32)
    matrix = (torch.eye(3),) if weighting.needs == "gramian" else ()
    gradients = given.parameter_gradients(state, torch.rand(3), *matrix) if given.learned else {}
    assert set(gradients) == set(weighting.learned) <= set(state)
    assert all(gradient.shape == state[key].shape for key, gradient in gradients.items())
    assert (weighting.learning_rate > 0) == bool(weighting.learned)


@every_weighting
def test_it_says_what_it_needs_and_in_which_spaces(name: str) -> None:
    weighting = WEIGHTINGS[name]
    assert weighting.needs in ("losses", "gramian", "jacobian")
    assert bool(weighting.spaces) == (weighting.needs != "losses")
    assert weighting.spaces <= {"theta", "z", "last"}
    assert weighting.space in weighting.spaces or not weighting.spaces
    assert weighting.fewest_tasks == (1 if name in ("equal", "static") else 2)


@every_weighting
def test_a_stateful_one_goes_on_from_where_it_was_kept(name: str) -> None:
    """The same weights, bit for bit, random ones too."""

    def some_steps(weighting: Any, count: int) -> list[Tensor]:
        made = []
        for step in range(count):
            rows = torch.randn(3, SIZE, generator=torch.Generator().manual_seed(step))
            losses = torch.rand(3, generator=torch.Generator().manual_seed(step)) + 0.1
            if weighting.method.needs == "losses":
                made.append(weighting.weights(losses))
            else:
                made.append(weighting.combine(rows, losses))
            weighting.after_step(0.9 * losses)
            weighting.epoch_end(losses)
        return made

    whole = some_steps(build(name, num_tasks=3, generator=torch.Generator().manual_seed(0)), 3)
    first = build(name, num_tasks=3, generator=torch.Generator().manual_seed(0))
    some_steps(first, 3)
    second = build(name, num_tasks=3, generator=torch.Generator().manual_seed(9))
    second.load_state_dict(first.state_dict())
    assert all(map(torch.equal, some_steps(first, 3), some_steps(second, 3)))
    assert len(whole) == 3


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_weighting
def test_a_step_on_cuda_never_waits_for_the_device(name: str) -> None:
    device = torch.device("cuda")
    stepped(WEIGHTINGS[name](), 3, torch.float32, device)  # libraries set themselves up
    torch.cuda.set_sync_debug_mode("error")
    try:
        result, _, _ = stepped(WEIGHTINGS[name](), 3, torch.float32, device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result.isfinite().all()
