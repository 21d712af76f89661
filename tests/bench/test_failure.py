from __future__ import annotations

import pytest
import torch

from bench.failure import status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("full"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "error"),
    ],
)
def test_only_a_lack_of_memory_is_one(error: Exception, status: str) -> None:
    assert status_of(error) == status


def test_the_allocator_says_what_we_look_for() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert status_of(caught.value) == "oom"
