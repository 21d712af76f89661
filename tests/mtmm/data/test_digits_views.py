from __future__ import annotations

from typing import cast, get_args

import pytest
import torch

from mtmm.data import DATASETS
from mtmm.data.digits_views import TASKS, Form, Views, build, describe
from mtmm.spec import in_memory


@pytest.mark.parametrize("form", ["image", "vector"])
@pytest.mark.parametrize("views", ["left_right", "top_bottom"])
def test_it_is_what_it_says(views: str, form: str) -> None:
    bundle = DATASETS["digits_views"](views=views, form=form)
    assert [m.name for m in bundle.modalities] == views.split("_")
    assert sum(len(split) for split in (bundle.train, bundle.val, bundle.test)) == 1797
    train = in_memory(bundle.train)
    assert all(x.min() >= 0 and x.max() == 1 for x in train.inputs.values())


def test_the_halves_put_together_are_the_digit() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    images = {(x.tobytes(), y) for x, y in zip(data.data, data.target, strict=True)}
    for views, dim in (("left_right", 3), ("top_bottom", 2)):
        test = in_memory(build(views=cast(Views, views)).test)
        whole = (16 * torch.cat(list(test.inputs.values()), dim=dim)).double().flatten(1)
        digits = zip(whole.numpy(), test.targets["digit"].tolist(), strict=True)
        assert all((row.tobytes(), digit) in images for row, digit in digits)


def test_tasks_follow_from_the_digit() -> None:
    train = in_memory(build().train)
    digit = train.targets["digit"]
    assert torch.equal(train.targets["parity"], digit % 2)
    assert torch.equal(train.targets["large"], (digit >= 5).long())
    assert list(TASKS) == list(train.targets)


def test_vectors_are_the_pixels_of_images() -> None:
    image, vector = (in_memory(build(form=f).val) for f in get_args(Form))
    for name in image.inputs:
        assert torch.equal(image.inputs[name].flatten(1), vector.inputs[name])


def test_the_seed_of_the_split_is_part_of_the_fingerprint() -> None:
    assert describe(split_seed=1).fingerprint != describe().fingerprint
