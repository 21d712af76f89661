from __future__ import annotations

import pytest
import torch

from mtmm.spec import Batch, DataBundle, Description, Modality, Task, in_memory

DESCRIPTION = Description(
    modalities=(
        Modality(name="a", kind="vector", shape=(2,)),
        Modality(name="b", kind="text", shape=(3,), vocabulary=9),
    ),
    tasks=(
        Task(name="s", kind="classification", classes=2),
        Task(name="t", kind="classification", classes=3),
    ),
    fingerprint="f",
)


def _batch(size: int) -> Batch:
    index = torch.arange(size)
    return Batch(
        inputs={"a": index[:, None].float().expand(-1, 2), "b": index[:, None].expand(-1, 3)},
        targets={"s": index % 2, "t": index % 3},
        present={"a": index > 0, "b": index > 1},
        labelled={"s": index > 2, "t": index > 3},
    )


def _bundle() -> DataBundle:
    return DataBundle(
        modalities=DESCRIPTION.modalities,
        tasks=DESCRIPTION.tasks,
        fingerprint="f",
        train=_batch(6),
        val=_batch(5),
        test=_batch(4),
    )


def test_length_is_the_number_of_samples() -> None:
    assert len(_batch(5)) == 5
    assert len(_batch(0)) == 0


def test_take_takes_the_same_samples_everywhere() -> None:
    taken = _batch(6).take(torch.tensor([4, 0, 4]))
    assert len(taken) == 3
    assert taken.inputs["a"][:, 0].tolist() == [4, 0, 4]
    assert taken.inputs["b"][:, 2].tolist() == [4, 0, 4]
    assert taken.targets["s"].tolist() == [0, 0, 0]
    assert taken.targets["t"].tolist() == [1, 0, 1]
    assert taken.present["b"].tolist() == [True, False, True]
    assert taken.labelled["t"].tolist() == [True, False, True]


def test_a_batch_selects_modalities_and_tasks_in_the_order_given() -> None:
    selected = _batch(6).select(iter(["b"]), iter(["t", "s"]))
    assert list(selected.inputs) == list(selected.present) == ["b"]
    assert list(selected.targets) == list(selected.labelled) == ["t", "s"]
    assert torch.equal(selected.targets["t"], _batch(6).targets["t"])


def test_to_moves_every_tensor() -> None:
    moved = _batch(3).to(torch.device("meta"))
    for tensors in (moved.inputs, moved.targets, moved.present, moved.labelled):
        assert {tensor.device.type for tensor in tensors.values()} == {"meta"}


def test_a_description_finds_by_name() -> None:
    assert DESCRIPTION.modality("b").vocabulary == 9
    assert DESCRIPTION.task("t").classes == 3
    with pytest.raises(KeyError):
        DESCRIPTION.modality("s")
    with pytest.raises(KeyError):
        DESCRIPTION.task("a")


def test_a_description_selects() -> None:
    selected = DESCRIPTION.select(["b", "a"], ["t"])
    assert [modality.name for modality in selected.modalities] == ["b", "a"]
    assert [task.name for task in selected.tasks] == ["t"]
    assert selected.fingerprint == "f"


def test_a_bundle_selects_in_every_split() -> None:
    selected = _bundle().select(iter(["b"]), iter(["t"]))
    assert [modality.name for modality in selected.modalities] == ["b"]
    assert [task.name for task in selected.tasks] == ["t"]
    for split, size in ((selected.train, 6), (selected.val, 5), (selected.test, 4)):
        assert (list(in_memory(split).inputs), list(split.targets)) == (["b"], ["t"])
        assert len(split) == size


def test_a_bundle_moves_every_split() -> None:
    moved = _bundle().to(torch.device("meta"))
    for split in (moved.train, moved.val, moved.test):
        assert split.labelled["t"].device.type == "meta"
        assert in_memory(split).inputs["a"].device.type == "meta"
    assert moved.modalities == DESCRIPTION.modalities
