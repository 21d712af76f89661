from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from mtmm.consistency import check_built, no_description
from mtmm.data.base import Dataset
from mtmm.spec import Batch, DataBundle, Description, Modality, Task, in_memory

Change = Callable[[DataBundle], Any]


@pytest.fixture
def whole(description: Description, batch: Batch) -> DataBundle:
    return DataBundle(
        modalities=description.modalities,
        tasks=description.tasks,
        fingerprint=description.fingerprint,
        train=batch,
        val=batch,
        test=batch,
    )


def described(**changes: Any) -> Change:
    return lambda bundle: replace(bundle, **changes)


def split(key: str, name: str, change: Callable[[torch.Tensor], Any]) -> Change:
    """The bundle with one tensor of `val` changed."""

    def changed(bundle: DataBundle) -> DataBundle:
        val = in_memory(bundle.val)
        tensors = dict(getattr(val, key))
        return replace(bundle, val=replace(val, **{key: {**tensors, name: change(tensors[name])}}))

    return changed


def one_is(value: int, *, labelled: bool) -> Change:
    """A label of `val` that is labelled, or not, is this value."""

    def changed(bundle: DataBundle) -> DataBundle:
        row = int((bundle.val.labelled["left"] == labelled).nonzero()[0])
        index = torch.tensor(row)
        return split("targets", "left", lambda t: t.index_fill(0, index, value))(bundle)  # type: ignore[no-any-return]

    return changed


IMAGE = Modality(name="image", kind="image", shape=(1, 8, 8))
LEFT = Task(name="left", kind="classification", classes=5)


def test_what_is_as_it_was_described_passes(whole: DataBundle, description: Description) -> None:
    check_built(whole, description)
    check_built(one_is(99, labelled=False)(whole), description)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda bundle: None, "must return a DataBundle; found null"),
        (described(modalities=(IMAGE,)), "its `modalities` must be what `describe` says, (Mod"),
        (described(tasks=(LEFT,)), "its `tasks` must be what `describe` says, (Task(name='left'"),
        (described(fingerprint="x"), "its `fingerprint` must be what `describe` says, none; fo"),
        (described(val=3), "`val` must be a Batch or have targets, labelled, __len__, t"),
        (lambda bundle: replace(bundle, val=bundle.val.take(torch.arange(0))), "val: has no samp"),
        (split("inputs", "text", lambda x: None), "val: `inputs` must hold a tensor for each of"),
        (split("targets", "right", lambda x: None), "val: `targets` must hold a tensor for each"),
        (
            split("inputs", "image", lambda x: x[:5]),
            "val: present of 'image' must be boolean and [5]; fo",
        ),
        (split("inputs", "image", lambda x: x[:, 0]), "image' must be [8, 1, 8, 8]; found [8, 8, "),
        (split("inputs", "text", lambda x: x + 1), "ids of 'text' must be 0 to 8; found ids from "),
        (split("targets", "left", lambda x: x[1:]), "targets of 'left' must be [8, ...]; found ["),
        (split("targets", "left", lambda x: x.float()), "'left' must be int64 and [B]; found tor"),
        (split("present", "text", lambda x: x.long()), "present of 'text' must be boolean and [8"),
        (split("labelled", "left", lambda x: x[:, None]), "labelled of 'left' must be boolean an"),
        (one_is(3, labelled=True), "val: targets of 'left' must be 0 to 2 where labelled; found"),
        (
            one_is(-1, labelled=True),
            "val: targets of 'left' must be 0 to 2 where labelled; found -",
        ),
    ],
)
def test_what_is_not_as_it_was_described_is_told(
    whole: DataBundle, description: Description, change: Change, text: str
) -> None:
    with pytest.raises(ValueError, match="`build` of the data set: ") as caught:
        check_built(change(whole), description)
    assert text in str(caught.value)


def test_data_sets_check_what_they_build(whole: DataBundle, description: Description) -> None:
    assert Dataset(lambda: whole, lambda: description)() is whole
    less = replace(description, tasks=description.tasks[:1])
    with pytest.raises(ValueError, match="its `tasks` must be what `describe` says"):
        Dataset(lambda: whole, lambda: less)()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"modalities": [IMAGE]}, "its `modalities` must be a tuple of Modality; found the list"),
        ({"tasks": ("left",)}, "its `tasks` must be a tuple of Task; found ("),
        ({"tasks": ()}, "its `tasks` must be one or more, of different names; found none"),
        ({"tasks": (LEFT, LEFT)}, "one or more, of different names; found left, left"),
        ({"modalities": (IMAGE, IMAGE)}, "of different names; found image, image"),
        ({"fingerprint": None}, "its `fingerprint` must be a word; found null"),
        ({"modalities": (replace(IMAGE, shape=[8]),)}, "shape of modality 'image' must be a tuple"),  # type: ignore[arg-type]
        ({"modalities": (replace(IMAGE, shape=(1, 0)),)}, "a tuple of sizes above 0; found"),
    ],
)
def test_what_is_no_description(description: Description, changes: Any, text: str) -> None:
    assert no_description(description) is None
    assert text in str(no_description(replace(description, **changes)))
    assert no_description(None) == "its `describe` must return a Description; found null"
