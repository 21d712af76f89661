"""Which variants a suite's `family` comes to; what is wrong with one is in `bad_suites.txt`."""

from __future__ import annotations

from typing import Any

import pytest

from bench.api import plan
from bench.errors import InputError
from bench.suite import Given, load_suite

STATIC = {"weighting": "static"}


@pytest.fixture
def weighted(suite: dict[str, Any]) -> dict[str, Any]:
    """Two methods and three static points; the base is the baseline."""
    suite["sweep"] = [
        {"weighting": ["equal", "uncertainty"]},
        {"simplex": {"points": 3}, "weighting": ["static"]},
    ]
    return suite


def test_without_it_every_variant_is_in_the_family(weighted: dict[str, Any]) -> None:
    sections: list[dict[str, Any]] = [{}, {"family": {}}]
    for section in sections:
        planned = plan(weighted | section)
        assert planned.family == tuple(variant.name for variant in planned.variants)
        assert planned.best_of == ()
    assert len(planned.twins) == 1
    assert planned.twins[0].name not in planned.family


def test_conditions_are_those_of_an_exclusion(weighted: dict[str, Any]) -> None:
    planned = plan(weighted | {"family": {"except": STATIC, "best": STATIC}})
    assert planned.family == ("equal", "uncertainty")
    points = tuple(v.name for v in planned.variants if v.config["weighting"]["name"] == "static")
    assert planned.best_of == points
    assert len(points) == 3
    dotted = {"weighting.name": "static", "weighting.weights": [1, 1]}
    assert plan(weighted | {"family": {"best": dotted}}).best_of == points[:1]


def test_the_baseline_need_not_be_in_it(weighted: dict[str, Any]) -> None:
    planned = plan(weighted | {"family": {"except": {"weighting": "equal"}}})
    assert planned.baseline == "equal"
    assert "equal" not in planned.family
    assert len(planned.family) == 4


def test_the_baseline_alone_can_be_tested_against_the_best(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"fusion": ["concat", "sum"]}]
    suite["family"] = {"except": {"fusion": "sum"}, "best": {"fusion": "sum"}}
    planned = plan(suite)
    assert (planned.family, planned.best_of) == (("concat",), ("sum",))


def test_a_smoke_run_has_the_family_of_the_suite(weighted: dict[str, Any]) -> None:
    weighted["family"] = {"except": STATIC, "best": {"train.epochs": 2, **STATIC}}
    assert plan(weighted, smoke=True).best_of == plan(weighted).best_of


def test_what_the_command_line_gives_is_told_with_its_option(weighted: dict[str, Any]) -> None:
    given = Given("--set family.best=…", "family.best", {"weighting": "statc"})
    with pytest.raises(InputError) as caught:
        plan(load_suite(weighted, [given]))
    assert str(caught.value).startswith("--set family.best=…: family.best.weighting: no planned")
