"""The fixed arm of every timing block: what moves it is the machine, not the model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from bench.numerics import set_precision

KEY = "reference"

_BATCH = {"cpu": 32, "cuda": 1024}  # a few milliseconds on either


class ReferenceWorkload:
    """Forward and backward pass of a small convolutional network on fixed noise.

    It depends on nothing that a suite can set, and on one CPU thread, so that two blocks on one
    device time the same work, whatever their arms are. Change nothing here: blocks before and
    after a change could no longer be compared.
    """

    phases = ("step",)

    def __init__(self, device: torch.device) -> None:
        self.samples = _BATCH[device.type]
        noise = torch.Generator().manual_seed(0)
        self._input = torch.randn(self.samples, 3, 32, 32, generator=noise).to(device)
        self._weights = [
            (0.1 * torch.randn(*shape, generator=noise)).to(device).requires_grad_()
            for shape in ((16, 3, 3, 3), (32, 16, 3, 3), (32 * 64, 64), (64, 10))
        ]
        torch.set_num_threads(1)
        set_precision("fp32", device)

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        mark()
        first, second, hidden, last = self._weights
        x = F.max_pool2d(F.relu(F.conv2d(self._input, first, padding=1)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, second, padding=1)), 2)
        logits = F.relu(x.flatten(1) @ hidden) @ last
        torch.autograd.grad(logits.square().mean(), self._weights)
        mark()
