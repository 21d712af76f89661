"""A trial that ends while somebody looks for trials that nobody works on."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from bench.execution.locks import UnitLock
from tests.bench.search.planted import study
from tests.bench.search.test_study import RATE


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_it_is_as_its_worker_told(
    state: TrialState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = study(tmp_path, space=RATE, trials=3)
    other = one.study.ask()
    other.suggest_float("train.optimizer.lr", 1e-3, 1e-1, log=True)
    acquire = UnitLock.acquire

    def acquire_late(lock: UnitLock, label: str) -> bool:
        if one.study.trials[0].state == TrialState.RUNNING:
            value = 0.1 if state == TrialState.COMPLETE else None
            one.study.tell(other.number, value, state=state)
        return acquire(lock, label)

    monkeypatch.setattr(UnitLock, "acquire", acquire_late)
    one.claims._free_what_nobody_works_on()
    assert [trial.state for trial in one.study.trials] == [state]
