from __future__ import annotations

import json

import pytest
import torch

from bench import environment
from bench.environment import describe, device_name, pick_device


def test_it_can_be_kept_as_json_and_does_not_change_by_itself() -> None:
    first, second = describe(torch.device("cpu")), describe(torch.device("cpu"))
    assert first == second == json.loads(json.dumps(first))
    assert first["device"] == {"type": "cpu", "name": device_name(torch.device("cpu"))}
    assert first["memory_gib"] > 0


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


def test_outside_of_a_checkout_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: object) -> str:
        raise FileNotFoundError("git")

    monkeypatch.setattr(environment, "_run", no_git)
    assert describe(torch.device("cpu"))["git"] is None
