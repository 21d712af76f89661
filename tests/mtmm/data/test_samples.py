from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, Subset, TensorDataset

from mtmm.data.samples import from_samples
from mtmm.spec import Batch, Description, Modality, Task, in_memory

ABOUT = Description(
    modalities=(
        Modality(name="image", kind="image", shape=(1, 2, 2)),
        Modality(name="text", kind="text", shape=(3,), vocabulary=7),
    ),
    tasks=(
        Task(name="digit", kind="classification", classes=3),
        Task(name="tags", kind="multilabel", classes=2),
        Task(name="size", kind="regression"),
    ),
    fingerprint="of this test",
)


def sample(i: int) -> dict[str, Any]:
    return {
        "image": torch.full((1, 2, 2), float(i)),
        "text": [1, 2, i % 7],
        "digit": i % 3,
        "tags": np.array([i % 2, -1]),
        "size": i / 2,
        "id": f"sample {i}",
    }


GOOD = [sample(i) for i in range(9)]


def train_of(samples: Any, about: Description = ABOUT) -> Batch:
    return in_memory(from_samples(about, samples, GOOD, GOOD).train)


def told(samples: Any, about: Description = ABOUT) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        from_samples(about, samples, GOOD, GOOD)
    return str(caught.value)


def test_samples_are_stacked_in_their_order() -> None:
    batch = train_of(GOOD)
    assert batch.inputs["image"].dtype == torch.float32
    assert batch.inputs["image"][:, 0, 0, 0].tolist() == list(range(9))
    assert batch.inputs["text"].dtype == batch.targets["digit"].dtype == torch.int64
    assert batch.inputs["text"][:, 2].tolist() == [i % 7 for i in range(9)]
    assert batch.targets["digit"].tolist() == [i % 3 for i in range(9)]
    assert batch.targets["tags"].tolist() == [[i % 2, -1] for i in range(9)]
    assert batch.targets["size"].tolist() == [i / 2 for i in range(9)]
    assert all(flags.all() for flags in (*batch.present.values(), *batch.labelled.values()))
    made = from_samples(ABOUT, GOOD, GOOD[:4], GOOD[4:])
    assert (made.fingerprint, len(made.val), len(made.test)) == ("of this test", 4, 5)


def test_labels_of_multilabel_may_be_floats() -> None:
    floats = [{**one, "tags": torch.as_tensor(one["tags"]).double()} for one in GOOD]
    found, same = (train_of(samples).targets["tags"] for samples in (floats, GOOD))
    assert found.dtype == torch.int64
    assert torch.equal(found, same)
    for value in (0.5, 2.0, float("nan"), float("inf")):
        broken = [{**GOOD[0], "tags": [1.0, value]}, *GOOD[1:]]
        rule = "train: 'tags' must be [2] of 1, 0 or -1 (unknown)"
        assert told(broken) == f"{rule}; found 1 others (item 0: {value})"


def test_none_is_not_there() -> None:
    names = ("image", "text", "digit", "tags", "size")
    samples = [{**one, names[i % 5]: None} for i, one in enumerate(GOOD)]
    batch = train_of(samples)
    flags = {**batch.present, **batch.labelled}
    for place, name in enumerate(names):
        assert flags[name].tolist() == [i % 5 != place for i in range(9)]
    assert (batch.targets["digit"] == -1).tolist() == [i % 5 == 2 for i in range(9)]


def test_tuples_are_inputs_and_then_labels() -> None:
    names = ("image", "text", "digit", "tags", "size")
    columns = [torch.stack([torch.as_tensor(one[name]) for one in GOOD]) for name in names]
    batch, same = train_of(Subset(TensorDataset(*columns), range(3, 9))), train_of(GOOD)
    for part in ("inputs", "targets", "present", "labelled"):
        for name, x in getattr(batch, part).items():
            assert torch.equal(x, getattr(same, part)[name][3:])


def test_everything_that_is_wrong_is_told_at_once_with_items() -> None:
    class Hostile:
        changes: tuple[Any, ...] = (
            {"image": torch.ones(2, 2, 1)},
            {"image": torch.full((1, 2, 2), torch.inf), "digit": 3},
            {"image": Image.new("L", (2, 2)), "text": [1, 2, 7]},
            {"image": "a\x1b[31m.png", "text": [1, -2, 3]},
            {"text": [1.0, 2.0, 3.0], "digit": -1},
            {"digit": 1.0, "tags": [2, 0], "size": "1,000"},
            {"digit": "<b>", "tags": 1, "size": float("nan")},
            {"digit": 99, "size": [1.0]},
        )

        def __len__(self) -> int:
            return 11

        def __getitem__(self, i: int) -> Any:
            if i == 8:
                raise OSError("disk\non fire")
            if i == 9:
                return {key: value for key, value in sample(i).items() if key != "digit"}
            return "text" if i == 10 else {**sample(i), **self.changes[i]}

    text = told(Hostile())
    for fact in (
        "train: 'image' must be [1, 2, 2] finite numbers; found 4 others "
        "(item 0: [2, 2, 1], item 1: inf, item 2: ",
        "'text' must be [3] token ids from 0 to 6; found 3 others "
        "(item 2: 7, item 3: -2, item 4: torch.float32)",
        "'digit' must be a class from 0 to 2; found 5 others "
        "(item 1: 3, item 4: -1, item 5: torch.float32, ...)",
        "'tags' must be [2] of 1, 0 or -1 (unknown); found 2 others "
        "(item 5: 2, item 6: the whole number 1)",
        "'size' must be a finite number; found 3 others "
        "(item 5: the word '1,000', item 6: nan, item 7: [1])",
        "every item must be readable; found 1 others (item 8: OSError: disk on fire)",
        "an item must have 'digit', None where it is not there; found 1 others (item 9: 'image', ",
        "an item must be a mapping, or a tuple of 5 (image, text, digit, tags, size); "
        "found 1 others (item 10: the word 'text')",
    ):
        assert fact in text
    assert text.isprintable()


def test_splits_without_samples_labels_or_an_index() -> None:
    unlabelled = [{**one, "digit": None} for one in GOOD]
    assert told(unlabelled) == "train has no label of 'digit'"
    assert "train has no label of 'size'" in told([])

    text = told({"train": GOOD})  # as a DatasetDict
    assert "every item must be readable; found 1 others (item 0: KeyError: 0)" in text

    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(GOOD)

    assert told(Stream()) == (
        "train must have a length and samples by index, as a torch Dataset; found a Stream"
    )
