"""A small world of two modalities and two tasks, with gaps in both."""

from __future__ import annotations

import pytest
import torch

from mtmm.spec import IGNORED, Batch, Description, Modality, Task


@pytest.fixture
def description() -> Description:
    """An image and a text; tasks of 3 and 4 classes."""
    return Description(
        modalities=(
            Modality(name="image", kind="image", shape=(1, 8, 8)),
            Modality(name="text", kind="text", shape=(4,), vocabulary=9),
        ),
        tasks=(
            Task(name="left", kind="classification", classes=3),
            Task(name="right", kind="classification", classes=4),
        ),
        fingerprint="none",
    )


@pytest.fixture
def batch() -> Batch:
    """Eight samples; some inputs and some labels are missing."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(1, 9, (8, 4), generator=generator)
    labelled = {"left": torch.arange(8) % 5 > 0, "right": torch.arange(8) % 4 > 0}
    targets = {
        "left": torch.randint(0, 3, (8,), generator=generator),
        "right": torch.randint(0, 4, (8,), generator=generator),
    }
    return Batch(
        inputs={
            "image": torch.randn(8, 1, 8, 8, generator=generator),
            "text": torch.where(torch.arange(4) < 1 + torch.arange(8)[:, None] % 4, text, 0),
        },
        targets={name: torch.where(labelled[name], targets[name], IGNORED) for name in targets},
        present={"image": torch.arange(8) % 3 != 1, "text": torch.arange(8) % 3 != 2},
        labelled=labelled,
    )
