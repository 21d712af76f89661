"""Tasks that have no say in a batch, by methods that keep something of every task."""

from __future__ import annotations

import torch

from mtmm.weighting.base import State
from mtmm.weighting.db_mtl import DBMTL
from mtmm.weighting.excess import ExcessMTL
from mtmm.weighting.famo import FAMO
from mtmm.weighting.imtl_l import IMTLL

CPU, D = torch.device("cpu"), torch.float64


def test_db_mtl_leaves_out_a_task_whose_gradient_is_zero_though_its_loss_is_not() -> None:
    rows = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=D)
    rows[1] = 0.0
    losses = torch.tensor([1.0, 0.5, 2.0], dtype=D)
    m = DBMTL()
    found, after = m.step(m.init(3, num_params=8, device=CPU, dtype=D), losses, rows)
    want, _ = m.step(m.init(2, num_params=8, device=CPU, dtype=D), losses[[0, 2]], rows[[0, 2]])
    assert int(after["fallbacks"]) == 0
    torch.testing.assert_close(found, want)


def test_famo_equal_tasks_stay_equal_when_one_is_labelled_in_every_fourth_batch() -> None:
    m = FAMO()
    s: State = m.init(2, device=CPU, dtype=D)
    for i in range(400):
        losses = torch.tensor([1.0, float(i % 4 == 0)], dtype=D)
        _, s = m.step(s, losses)
        s = m.after_step(s, 0.9 * losses)
    torch.testing.assert_close(
        torch.softmax(s["logits"], 0), torch.full((2,), 0.5, dtype=D), atol=0.05, rtol=0
    )


def test_famo_logits_of_others_are_those_without_the_task_that_has_no_label() -> None:
    m = FAMO()
    s: State = m.init(3, device=CPU, dtype=D)
    alone: State = m.init(2, device=CPU, dtype=D)
    for _ in range(20):
        for k, losses in ((3, [1.0, 0.5, 0.0]), (2, [1.0, 0.5])):
            given = torch.tensor(losses, dtype=D)
            _, n = m.step(s if k == 3 else alone, given)
            n = m.after_step(n, given * torch.tensor([0.9, 0.8, 1.0][:k], dtype=D))
            if k == 3:
                s = n
            else:
                alone = n
    torch.testing.assert_close(s["logits"][:2], alone["logits"])
    assert s["logits"][2] == 0


def test_excess_survives_a_first_gradient_that_is_tiny() -> None:
    m = ExcessMTL()
    for dtype in (torch.float32, D):
        s: State = m.init(2, num_params=4, device=CPU, dtype=dtype)
        first = torch.ones(2, 4, dtype=dtype)
        first[1] = 1e-6
        for rows in (first, torch.ones(2, 4, dtype=dtype)):
            found, s = m.step(s, torch.ones(2, dtype=dtype), rows)
            assert found.isfinite().all()
        assert int(s["fallbacks"]) == 0


def test_excess_weight_of_an_absent_task_waits() -> None:
    m = ExcessMTL(step_size=0.1)
    s: State = m.init(2, num_params=4, device=CPU, dtype=D)
    rows = torch.ones(2, 4, dtype=D)
    _, s = m.step(s, torch.ones(2, dtype=D), rows)
    rows[1] = 0
    for _ in range(50):
        _, s = m.step(s, torch.ones(2, dtype=D), rows)
    assert abs(float(s["shares"][1]) - 0.5) < 1e-9


def test_imtl_l_leaves_out_a_negative_loss() -> None:
    m = IMTLL()
    state = {"log_scale": torch.zeros(2, dtype=D)}
    assert m.parameter_gradients(state, torch.tensor([-1.0, 1.0], dtype=D))[
        "log_scale"
    ].tolist() == [0, 0]
