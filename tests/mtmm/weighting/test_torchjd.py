"""Against TorchJD 0.18, within the range in which its own approximations are small."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting import build
from mtmm.weighting.graddrop import GradDrop

# Its solver tells how it could be faster.
pytestmark = pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")

aggregation: Any = pytest.importorskip("torchjd.aggregation")


def independent(count: int = 40) -> list[Tensor]:
    """Rows of about the same length, linearly independent, of 2 to 8 tasks."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for i in range(count):
        rows = torch.randn(2 + i % 7, 30, generator=generator, dtype=torch.float64)
        made.append(rows + 0.3 * (i % 3) * torch.randn(30, generator=generator).double())
    return made


def ours(name: str, rows: Tensor, **settings: Any) -> Tensor:
    weighting = build(name, num_tasks=len(rows), dtype=rows.dtype, **settings)
    return weighting.combine(rows)


@pytest.mark.parametrize(
    ("name", "settings", "theirs", "bound"),
    [
        ("imtl_g", {}, lambda n: aggregation.IMTLG(), 1e-6),
        ("aligned", {}, lambda n: aggregation.AlignedMTL(), 1e-6),
        ("config", {}, lambda n: aggregation.ConFIG(), 1e-6),
        # It adds 1e-4 to the diagonal of the normalised Gramian.
        ("upgrad", {}, lambda n: aggregation.UPGrad(), 1e-3),
        ("dualproj", {}, lambda n: aggregation.DualProj(), 1e-3),
        # It ends at a fixed precision of its solver.
        ("cagrad", {"c": 0.4}, lambda n: aggregation.CAGrad(c=0.4, norm_eps=1e-12), 1e-3),
        ("fairgrad", {"max_norm": None, "alpha": 2.0}, lambda n: aggregation.FairGrad(2.0), 1e-3),
    ],
)
def test_the_same_gradient(name: str, settings: dict[str, Any], theirs: Any, bound: float) -> None:
    apart = []
    for rows in independent():
        wanted = theirs(len(rows))(rows)
        found = ours(name, rows, **settings)
        apart.append(float((found - wanted).norm() / wanted.norm()))
    assert max(apart) <= bound, apart


def test_nash_mostly_as_its_linearisations_do_not_always_converge() -> None:
    apart = []
    for rows in independent():
        wanted = aggregation.NashMTL(len(rows), max_norm=1e9)(rows)
        found = ours("nash", rows, max_norm=None)
        apart.append(float((found - wanted).norm() / wanted.norm()))
    assert sorted(apart)[len(apart) // 2] <= 1e-6


def test_pcgrad_of_two_tasks_has_one_order() -> None:
    for rows in independent():
        wanted = aggregation.PCGrad()(rows[:2])
        torch.testing.assert_close(ours("pcgrad", rows[:2]), wanted)


def test_graddrop_with_the_same_numbers() -> None:
    for rows in independent(7):
        torch.manual_seed(4)
        wanted = aggregation.GradDrop()(rows)
        torch.manual_seed(4)
        uniform = torch.rand(rows.shape[1], dtype=rows.dtype)
        method = GradDrop()
        state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
        losses = torch.ones(len(rows), dtype=rows.dtype)
        found, _ = method.step({**state, "uniform": uniform}, losses, rows)
        torch.testing.assert_close(found, wanted)
