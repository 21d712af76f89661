from __future__ import annotations

from typing import Any

import pytest

from bench.overrides import Override, OverrideError, apply, put, target_of


def test_the_short_form_belongs_to_the_model() -> None:
    assert target_of("encoders.image.channels") == ("model", "encoders", "image", "channels")
    assert target_of("train.epochs") == ("train", "epochs")


def test_put_makes_a_mapping_of_a_name_and_leaves_its_source_alone() -> None:
    model = {"fusion": "gated"}
    config: dict[str, Any] = {"model": model}
    put(config, ("model", "fusion", "gate"), "image")
    put(config, ("train", "epochs"), 3)
    fusion = {"name": "gated", "gate": "image"}
    assert config == {"model": {"fusion": fusion}, "train": {"epochs": 3}}
    assert model == {"fusion": "gated"}


@pytest.mark.parametrize("inner", [2, None, ["image"], True])
def test_put_refuses_to_go_inside_a_value(inner: Any) -> None:
    with pytest.raises(ValueError, match=r"^nothing can be set inside 'train.epochs'; it is "):
        put({"train": {"epochs": inner}}, ("train", "epochs", "x"), 1)


def test_a_component_is_set_before_its_settings() -> None:
    lr = Override(("train", "optimizer", "lr"), ("b",), 0.1)
    optimizer = Override(("train", "optimizer"), ("a",), "sgd")
    raw = {"train": {"optimizer": {"name": "adam", "beta1": 0.5}, "epochs": 1}}
    expected = {"train": {"optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 1}}
    assert apply(raw, (lr, optimizer)) == apply(raw, (optimizer, lr)) == expected
    assert raw["train"]["optimizer"] == {"name": "adam", "beta1": 0.5}


def test_an_override_that_cannot_be_made_says_where_it_stands() -> None:
    with pytest.raises(OverrideError) as caught:
        apply({"tasks": ["a"]}, (Override(("tasks", "x"), ("sweep", 0, "tasks.x", 1), 1),))
    assert caught.value.source == ("sweep", 0, "tasks.x", 1)
