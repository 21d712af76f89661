from __future__ import annotations

import pytest
import torch

from bench.errors import InputError
from bench.timing.refusal import check_environment


@pytest.mark.parametrize("value", ["1", "true"])
def test_blocking_launches_are_refused_on_cuda(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", value)
    with pytest.raises(InputError, match=f"CUDA_LAUNCH_BLOCKING is '{value}'.*Unset it"):
        check_environment(torch.device("cuda", 0))
    check_environment(torch.device("cpu"))


@pytest.mark.parametrize("value", ["", "0"])
def test_launches_that_do_not_block_are_fine(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", value)
    check_environment(torch.device("cuda", 0))
