from __future__ import annotations

import json

import pytest
import torch

from bench import fingerprint
from bench.environment import device_name
from bench.fingerprint import describe

CPU = torch.device("cpu")


def test_it_can_be_kept_as_json_and_its_identity_does_not_change_by_itself() -> None:
    first, second = describe(CPU), describe(CPU)
    assert first == json.loads(json.dumps(first))
    assert first["identity"] == second["identity"]
    assert first["identity"]["device"] == {"type": "cpu", "name": device_name(CPU)}
    assert first["identity"]["memory_gib"] > 0
    assert first["state"]["usable_cores"] >= 1


def test_flags_that_change_numbers_are_part_of_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = describe(CPU)["identity"]
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    after = describe(CPU)["identity"]
    assert (before["flags"]["cudnn.benchmark"], after["flags"]["cudnn.benchmark"]) == (False, True)
    assert after["variables"]["OMP_WAIT_POLICY"] == "passive"


def test_precision_is_read_by_its_newer_names_only() -> None:
    # After a newer name was set, PyTorch refuses to read the older ones.
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        flags = describe(CPU)["identity"]["flags"]
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    assert flags["fp32_precision.cuda.matmul"] == "tf32"


def test_outside_of_a_checkout_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: object) -> str:
        raise FileNotFoundError("git")

    monkeypatch.setattr(fingerprint, "_run", no_git)
    assert describe(CPU)["state"]["git"] is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_described() -> None:
    device = describe(torch.device("cuda", 0))["identity"]["device"]
    assert device["name"] == torch.cuda.get_device_name(0)
    assert device["multiprocessors"] > 0
