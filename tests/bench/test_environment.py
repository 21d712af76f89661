from __future__ import annotations

import shlex

import pytest
import torch

from bench import environment
from bench.environment import pick_device


def test_the_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["run", "my suite.yaml", "--set", "seeds=[0, 7]"]
    monkeypatch.setattr("sys.argv", ["/somewhere/bench", *given])
    assert shlex.split(environment.command()) == ["mtmm-bench", *given]


def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("gpu", "must be auto, cpu, cuda or cuda:N; found 'gpu'"),
        ("meta", "must be auto, cpu, cuda or cuda:N; found 'meta'"),
        ("cuda:1", "there are 1 CUDA devices, counted from 0"),
    ],
)
def test_devices_that_are_not_there(
    wanted: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=message):
        pick_device(wanted)
