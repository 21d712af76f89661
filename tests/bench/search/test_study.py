"""One arm's study: what it proposes, and what trials come to that have no score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.search import trial as trials
from bench.search.claims import TrialsFailError
from bench.search.study import FIRST_SEED, ArmStudy, search_seeds
from tests.bench.search.planted import Quiet, study, training

RATE = {"train.optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}}
FUSION = {
    "fusion.rank": {"low": 2, "high": 8, "when": {"fusion": "lowrank"}},
    "fusion": ["concat", {"name": "lowrank"}],
    "sharing": ["hard", "separate"],
}


def rank(config: Mapping[str, Any]) -> float:
    return float(config["model"]["fusion"].get("rank", 0))


def test_settings_are_proposed_only_with_the_component_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(rank))
    one = study(tmp_path, space=FUSION, trials=30)
    one.work(Quiet())
    met = set()
    for trial in one.study.trials:
        chosen = '"lowrank"' in trial.params["model.fusion"]
        met.add(chosen)
        assert ("model.fusion.rank" in trial.params) == chosen
        assert trial.value == trial.params.get("model.fusion.rank", 0)
    assert met == {True, False}
    (best,) = one.front()
    config = one.configuration(best)
    assert config["model"]["fusion"] == {"name": "lowrank", "rank": best.value}


@pytest.mark.parametrize("status", ["diverged", "oom", "skipped"])
def test_what_has_used_its_budget_without_a_score_counts(
    status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def high_rates_fail(config: Mapping[str, Any]) -> float | str:
        rate = float(config["train"]["optimizer"]["lr"])
        return status if rate > 1e-2 else rate

    monkeypatch.setattr(trials, "Training", training(high_rates_fail))
    one = study(tmp_path, space=RATE, trials=12, sampler="random")
    one.work(Quiet())
    assert len(one.study.trials) == 12
    for trial in one.study.trials:
        is_high = trial.params["train.optimizer.lr"] > 1e-2
        assert trial.state.name == ("PRUNED" if is_high else "COMPLETE")
        assert trial.user_attrs["reason"] == (f"{status}: as planted" if is_high else "")
    assert {trial.state.name for trial in one.study.trials} == {"PRUNED", "COMPLETE"}
    assert one.samples() == 12 * 64


def test_failed_trials_are_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = ["failed", "failed"]
    monkeypatch.setattr(trials, "Training", training(lambda _: left.pop() if left else 0.5))
    one = study(tmp_path, space=RATE, trials=4)
    one.work(Quiet())
    states = [trial.state.name for trial in one.study.trials]
    assert states == ["FAIL"] * 2 + ["COMPLETE"] * 4


def test_a_study_whose_trials_all_fail_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(lambda _: "failed"))
    one = study(tmp_path, space=RATE, trials=3)
    with pytest.raises(TrialsFailError, match="4 trials failed, the last: failed: as planted"):
        one.work(Quiet())
    assert one.front() == []
    # What made them fail is gone: the study goes on.
    monkeypatch.setattr(trials, "Training", training(lambda _: 0.5))
    again = ArmStudy(one.arm, one.search, one.suite, one.place, one.run, "cpu", one.seeds)
    again.work(Quiet())
    assert [trial.state.name for trial in again.claims.spent()] == ["COMPLETE"] * 3


def test_of_more_trials_than_are_asked_for_the_first_ones_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([0.1, 0.3, 0.2, 0.9])
    monkeypatch.setattr(trials, "Training", training(lambda _: next(left)))
    one = study(tmp_path, space=RATE, trials=4)
    one.work(Quiet())
    assert one.front()[0].number == 3
    one.claims.search = one.search = replace(one.search, trials=3)
    one.work(Quiet())
    assert one.front()[0].number == 1
    assert one.samples() == 3 * 64


def test_a_trial_that_was_begun_is_freed_and_its_settings_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Mapping[str, Any]) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "Training", training(interrupt))
    one = study(tmp_path, space=RATE, trials=3)
    with pytest.raises(KeyboardInterrupt):
        one.work(Quiet())
    monkeypatch.setattr(trials, "Training", training(lambda _: 0.5))
    one.work(Quiet())
    made = one.study.trials
    assert [trial.state.name for trial in made] == ["FAIL"] + ["COMPLETE"] * 3
    assert made[0].params == made[1].params != made[2].params


def test_the_seed_of_the_sampler_decides_about_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(rank))

    def params(seed: int) -> list[dict[str, Any]]:
        one = study(tmp_path / str(seed), space={**RATE, **FUSION}, trials=15, seed=seed)
        one.work(Quiet())
        return [trial.params for trial in one.study.trials]

    first = params(0)
    assert first == params(0)
    assert first != params(1)


def test_seeds_of_trials_are_none_of_the_comparison(tmp_path: Path) -> None:
    search = study(tmp_path, space=RATE, seeds=(1, 2, 3)).search
    taken = (0, FIRST_SEED, FIRST_SEED + 2)
    assert search_seeds(search, taken) == (FIRST_SEED + 1, FIRST_SEED + 3, FIRST_SEED + 4)
    again = (FIRST_SEED + 5, FIRST_SEED + 6, FIRST_SEED + 7)
    assert search_seeds(search, taken, repeat=1) == again
