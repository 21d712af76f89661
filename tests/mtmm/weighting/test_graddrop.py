"""GradDrop: how often a sign is drawn, and the space z."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.graddrop import GradDrop

CPU = torch.device("cpu")


def initial(tasks: int) -> State:
    return GradDrop().init(tasks, num_params=1, device=CPU, dtype=torch.float64)


def test_on_average_a_sign_is_as_likely_as_its_share_of_the_gradients() -> None:
    rows = torch.tensor([[3.0, 2, -1, 0], [-1, 2, -2, 0]], dtype=torch.float64)
    generator, total = torch.Generator().manual_seed(0), torch.zeros(4, dtype=torch.float64)
    count = 4000
    for _ in range(count):
        drawn = GradDrop().draw(initial(2), 4, generator)
        gradient, _ = GradDrop().step(drawn, torch.ones(2, dtype=torch.float64), rows)
        total = total + gradient
    # 3 with probability 3/4, else −1; the others have one sign.
    expected = torch.tensor([2.0, 4, -3, 0], dtype=torch.float64)
    torch.testing.assert_close(total / count, expected, rtol=0, atol=0.1)


def test_each_step_draws_anew_and_the_same_from_the_same_generator() -> None:
    generator = torch.Generator().manual_seed(0)
    first = GradDrop().draw(initial(2), 5, generator)
    second = GradDrop().draw(first, 5, generator)
    again = GradDrop().draw(initial(2), 5, torch.Generator().manual_seed(0))
    assert first["uniform"].shape == (5,)
    assert not torch.equal(first["uniform"], second["uniform"])
    assert torch.equal(first["uniform"], again["uniform"])


def in_z(seed: int) -> tuple[Tensor, Tensor]:
    """Features `[B, D]` and rows `[T, B · D]`."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return features, torch.randn(3, 24, generator=generator, dtype=torch.float64)


def test_in_z_a_task_keeps_or_loses_a_feature_for_the_whole_batch() -> None:
    features, rows = in_z(0)
    drawn = GradDrop().draw(initial(3), 4, torch.Generator().manual_seed(1))
    gradient, _ = GradDrop().step(drawn, torch.ones(3, dtype=torch.float64), rows, features)
    by_task = rows.view(3, 6, 4)
    expected = torch.zeros(6, 4, dtype=torch.float64)
    for feature in range(4):
        votes = (by_task[:, :, feature] * features[:, feature].sign()).sum(1)
        purity = 0.5 * (1 + votes.sum() / votes.abs().sum())
        sign = 1 if purity > drawn["uniform"][feature] else -1
        for task in range(3):
            if votes[task] * sign > 0:
                expected[:, feature] += by_task[task, :, feature]
    torch.testing.assert_close(gradient, expected.flatten())


def test_in_z_a_step_is_lifted() -> None:
    batch = [in_z(seed) for seed in range(3)]
    features, rows = (torch.stack([made[i] for made in batch]) for i in range(2))
    losses = torch.ones(3, 3, dtype=torch.float64)
    drawn = GradDrop().draw(initial(3), 4, torch.Generator().manual_seed(1))
    states = {name: torch.stack([value] * 3) for name, value in drawn.items()}
    together, _ = torch.vmap(GradDrop().step)(states, losses, rows, features)
    for i in range(3):
        alone, _ = GradDrop().step(drawn, losses[i], rows[i], features[i])
        torch.testing.assert_close(together[i], alone)
