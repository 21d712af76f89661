from __future__ import annotations

from typing import Any

import pytest
import torch

from mtmm.weighting.equal import Equal
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.jacobian import JacobianWeighting
from mtmm.weighting.usage import Usage


def test_what_is_left_open_is_the_methods_own_choice() -> None:
    assert Usage.of(Equal, {}) == Usage(
        space=None, heads="weighted", sum_to="none", every=1, gradients=None
    )
    assert Usage.of(GramianWeighting, {"space": None}) == Usage(
        space="theta", heads="unit", sum_to="none", every=1, gradients="stored"
    )
    assert Usage.of(GramianWeighting, {"space": "z"}).gradients == "stored"


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (Equal, {"space": "theta"}, r"`space` .* must be null; found 'theta'"),
        (Equal, {"heads": "unit"}, "`heads` .* must be 'weighted'; found 'unit'"),
        (Equal, {"every": 2}, "`every` .* must be 1: .*; found 2"),
        (Equal, {"gradients": "lean"}, "can be 'lean' in the space theta; found 'None'"),
        (
            GramianWeighting,
            {"space": "z", "gradients": "lean"},
            "can be 'lean' in the space theta; found 'z'",
        ),
        (JacobianWeighting, {"space": "z"}, "must be one of: theta; found 'z'"),
        (JacobianWeighting, {"heads": "weighted"}, "gives no weights"),
        (JacobianWeighting, {"sum_to": 1}, "gives no weights"),
        (JacobianWeighting, {"every": 3}, "gives no weights"),
        (JacobianWeighting, {"gradients": "lean"}, "must be 'stored'; found 'lean'"),
    ],
)
def test_what_a_method_does_not_have_is_refused(
    method: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Usage.of(method, given)


def test_weights_are_rescaled_where_that_is_asked_for() -> None:
    weights = torch.tensor([1.0, 3.0])
    assert Usage.of(Equal, {}).rescaled(weights) is weights
    assert Usage.of(Equal, {"sum_to": 1}).rescaled(weights).tolist() == [0.25, 0.75]
    assert Usage.of(Equal, {"sum_to": "T"}).rescaled(weights).tolist() == [0.5, 1.5]
    for without_sum in ([0.0, 0.0], [1.0, -2.0]):
        weights = torch.tensor(without_sum)
        assert Usage.of(Equal, {"sum_to": 1}).rescaled(weights).tolist() == without_sum
