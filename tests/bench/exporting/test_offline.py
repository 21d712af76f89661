from __future__ import annotations

import os

import pytest

from bench.exporting.offline import offline


def test_what_was_set_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    with offline():
        assert os.environ["WANDB_ERROR_REPORTING"] == "false"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["WANDB_ERROR_REPORTING"] == "true"
    assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ
