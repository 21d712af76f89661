"""A grid has every combination once, of settings that depend on each other too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.search import trial as trials
from tests.bench.search.planted import Quiet, study, training

SPACE = {
    "fusion": ["concat", {"name": "lowrank"}],
    "fusion.rank": {"low": 2, "high": 6, "step": 2, "when": {"fusion": "lowrank"}},
    "train.modality_dropout": {"low": 0.0, "high": 0.3, "step": 0.1},
}


DROPOUT = {"train.modality_dropout": SPACE["train.modality_dropout"]}


def second_fails(config: Mapping[str, Any]) -> float | str:
    return "failed" if config["train"]["modality_dropout"] == 0.1 else 0.5


def told(trial: Any) -> tuple[Any, ...]:
    return tuple(sorted(trial.params.items()))


def test_every_combination_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = list[tuple[Any, ...]]()

    def score(config: Mapping[str, Any]) -> float:
        fusion = config["model"]["fusion"]
        met.append((fusion["name"], fusion.get("rank"), config["train"]["modality_dropout"]))
        return 0.5

    monkeypatch.setattr(trials, "Training", training(score))
    one = study(tmp_path, space=SPACE, sampler="grid", trials=100)
    one.work(Quiet())
    dropouts = (0.0, 0.1, 0.2, 0.3)
    fusions = [("concat", None), *(("lowrank", rank) for rank in (2, 4, 6))]
    assert sorted(met, key=str) == sorted(((*f, d) for f in fusions for d in dropouts), key=str)
    assert one.claims.asked == len(one.study.trials) == 16


def test_a_smaller_budget_has_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(lambda _: 0.5))
    one = study(tmp_path, space=SPACE, sampler="grid", trials=5)
    one.work(Quiet())
    whole = study(tmp_path, space=SPACE, sampler="grid", trials=16)
    whole.work(Quiet())
    assert [told(t) for t in one.study.trials] == [told(t) for t in whole.study.trials[:5]]


def test_what_failed_is_left_out_and_others_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(second_fails))
    for asked, complete in ((2, 2), (4, 3)):
        one = study(tmp_path / str(asked), space=DROPOUT, sampler="grid", trials=asked)
        one.work(Quiet())
        states = [trial.state.name for trial in one.study.trials]
        assert states == ["COMPLETE", "FAIL", *["COMPLETE"] * (complete - 1)]


def test_a_combination_that_fails_again_takes_no_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(second_fails))
    one = study(tmp_path, space=DROPOUT, sampler="grid", trials=4)
    one.work(Quiet())
    one.study.add_trial(one.study.trials[1])  # as --retry-failed leaves it where it fails again
    assert one.claims.asked == 3
    assert len(one.claims.spent()) == 3
