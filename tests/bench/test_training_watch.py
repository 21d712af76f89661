"""Training that somebody watches, and may give up after an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from bench.training import PrunedError, train
from mtmm.spec import DataBundle

CPU = torch.device("cpu")
EPOCHS = 4


@pytest.fixture
def longer(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "train": {**config["train"], "epochs": EPOCHS}}


class Seen:
    """Notes how many epochs each curve has had, and gives up after some."""

    def __init__(self, give_up_after: int) -> None:
        self.lengths: list[int] = []
        self._last = give_up_after

    def __call__(self, curve: Sequence[Mapping[str, Any]]) -> bool:
        self.lengths.append(len(curve))
        return len(curve) == self._last


def test_what_is_given_up_keeps_what_it_trained(longer: dict[str, Any], bundle: DataBundle) -> None:
    watch = Seen(give_up_after=2)
    with pytest.raises(PrunedError, match="given up after epoch 2") as error:
        train(longer, bundle, seed=0, device=CPU, watch=watch)
    whole = train(longer, bundle, seed=0, device=CPU)
    trained = error.value.trained
    assert trained["epochs_trained"] == 2
    assert trained["curve"] == whole["curve"][:2]
    assert trained["steps"] * 2 == whole["steps"]
    assert trained["samples"] * 2 == whole["samples"]
    assert trained["params"] == whole["params"]


def test_watching_changes_no_number_and_ends_with_the_last_epoch_but_one(
    longer: dict[str, Any], bundle: DataBundle
) -> None:
    watch = Seen(give_up_after=EPOCHS)
    watched = train(longer, bundle, seed=0, device=CPU, watch=watch)
    assert watch.lengths == list(range(1, EPOCHS))
    alone = train(longer, bundle, seed=0, device=CPU)
    assert {**watched, "seconds": 0} == {**alone, "seconds": 0}
