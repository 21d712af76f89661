from __future__ import annotations

import numpy as np
import torch

from mtmm.data.splits import complete, digit_tasks, fingerprint, stratified


def test_splits_are_disjoint_and_stratified() -> None:
    labels = np.repeat(np.arange(10), 50)
    rows = stratified(labels, seed=0)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(500))
    for split, count in (("train", 30), ("val", 10), ("test", 10)):
        assert (np.bincount(labels[rows[split]]) == count).all()
    assert not np.array_equal(rows["train"], stratified(labels, seed=1)["train"])


def test_in_a_complete_batch_nothing_is_missing() -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)[:, ::-1]  # no contiguous memory
    batch = complete({"x": x}, {"y": np.arange(4)})
    assert torch.equal(batch.inputs["x"], torch.from_numpy(x.copy()))
    assert batch.present["x"].tolist() == batch.labelled["y"].tolist() == [True] * 4


def test_what_can_be_asked_of_a_digit() -> None:
    asked = digit_tasks(np.arange(10), ["large", "parity"])
    assert {name: y.tolist() for name, y in asked.items()} == {
        "large": [0] * 5 + [1] * 5,
        "parity": [0, 1] * 5,
    }


def test_a_fingerprint_depends_on_every_part_and_on_no_order() -> None:
    assert fingerprint(a=1, b=2) == fingerprint(b=2, a=1)
    assert len({fingerprint(a=1, b=2), fingerprint(a=1, b=3), fingerprint(a=1)}) == 3
