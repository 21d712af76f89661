from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.cell import (
    TimingArm,
    TimingBlock,
    TrainCell,
    components_of,
    identity,
    timed_part,
)
from bench.document import parse
from bench.planning import make_plan
from bench.suite import build_suite
from bench.training import build_step
from mtmm.spec import DataBundle

CELL: dict[str, Any] = {"seed": 0, "fingerprint": "data", "device_type": "cpu"}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif path[-1] != "name":
        yield path


def changed(config: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    other = copy.deepcopy(dict(config))
    inner = other
    for part in path[:-1]:
        inner = inner[part]
    old = inner[path[-1]]
    # Of the data set the identity asks a description: what its settings become has to be valid.
    inner[path[-1]] = old[:1] if isinstance(old, list) else old + 1 if type(old) is int else 0.123
    return other


def test_every_setting_is_part_of_the_identity(config: dict[str, Any]) -> None:
    files = [("train", "checkpoint"), ("train", "keep")]  # what is written changes no number
    paths = [path for path in leaves(config) if path not in files]
    assert len(paths) > 12
    for path in files:
        assert TrainCell(changed(config, path), **CELL).id == TrainCell(config, **CELL).id
    ids = {TrainCell(changed(config, path), **CELL).id for path in paths}
    assert len(ids) == len(paths)
    assert TrainCell(config, **CELL).id not in ids


@pytest.mark.parametrize("change", [{"seed": 1}, {"fingerprint": "x"}, {"device_type": "cuda"}])
def test_so_are_seed_data_and_device(config: dict[str, Any], change: dict[str, Any]) -> None:
    assert TrainCell(config, **CELL).id != TrainCell(config, **{**CELL, **change}).id


def test_order_comments_and_written_defaults_are_not() -> None:
    short = "name: a\ndataset: glyphs\nmodel: {encoders: {image: lenet, text: lstm}}\n"
    long = (
        "# a comment\nname: b\nfusion: {name: concat}\n"
        "model: {width: 64, encoders: {text: lstm, image: {channels: 16, name: lenet}}}\n"
        "train: {batch_size: 128}\ndataset: {seed: 0, name: glyphs}\n"
    )
    one, two = (
        make_plan(build_suite(parse(text, "f"))).cells("cpu").popitem()[1] for text in (short, long)
    )
    assert one.id == two.id


SPELLED: dict[str, Any] = {
    "dataset": {"word_dropout": 0.0, "limit": None, "seed": 0},
    "model": {"fusion": {"name": "concat"}, "sharing": "hard", "width": 64},
    "weighting": {"name": "equal"},
    "train": {
        "epochs": 5,
        "max_steps": None,
        "warmup": 0,
        "freeze": None,
        "optimizer": {"name": "adamw", "lr": 0.001},
        "schedule": "constant",
    },
    "numerics": {"memory_format": "channels_last"},
    "timing": "off",
    "seeds": [0],
    "max_params": 1e9,
    "question": "Why?",
    "modalities": ["text", "image"],
}


@given(st.sets(st.sampled_from([*leaves(SPELLED)])), st.randoms(use_true_random=False))
def test_identity_is_stable_under_key_order_comments_and_written_out_defaults(
    written: set[tuple[str, ...]], chance: random.Random
) -> None:
    value: dict[str, Any] = {
        "name": "a",
        "dataset": {"name": "glyphs"},
        "model": {"encoders": {"image": "lenet", "text": "lstm"}},
    }
    for path in written:
        place, default = value, SPELLED
        for part in path[:-1]:
            place, default = place.setdefault(part, {}), default[part]
        # What stands in a component needs the component's name.
        place |= {key: item for key, item in default.items() if key in (path[-1], "name")}
    text = yaml.safe_dump(shuffled(value, chance), sort_keys=False)
    text = "".join(f"{line}  # a comment\n" for line in text.splitlines())
    assert only_cell(text).id == only_cell(PLAIN).id


PLAIN = "{name: b, dataset: glyphs, encoders: {image: lenet, text: lstm}}"


def only_cell(text: str) -> TrainCell:
    ((_, cell),) = make_plan(build_suite(parse(text, "f"))).cells("cpu").items()
    return cell


def shuffled(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    chance.shuffle(keys)
    return {key: shuffled(value[key], chance) for key in keys}


def test_identity_ignores_key_order_and_refuses_nan() -> None:
    assert identity({"a": 1, "b": {"c": 2, "d": 3}}) == identity({"b": {"d": 3, "c": 2}, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity({"a": float("nan")})


def test_a_new_arm_makes_a_new_block(config: dict[str, Any]) -> None:
    model = {**config["model"], "sharing": {"name": "separate"}}
    hard, separate = (
        TimingArm(timed_part({**config, "model": m})) for m in (config["model"], model)
    )
    one = TimingBlock((hard,), ("d",), 16, "train", 1.0, "machine")
    both = TimingBlock((hard, separate), ("d",), 16, "train", 1.0, "machine")
    turned = TimingBlock((separate, hard), ("d",), 16, "train", 1.0, "machine")
    assert one.record_id(hard) != both.record_id(hard)
    assert both.id == turned.id


UNTIMED = {
    "epochs": 99,
    "max_steps": 7,
    "schedule": {"name": "cosine", "final": 0.5},
    "warmup": 0.5,
    "patience": 3,
    "batch_size": 7,  # a block has its own
    "checkpoint": 5.0,
    "keep": ["weights"],
    "diagnostics": 3,
    "modality_dropout": 0.3,
}
TIMED = {
    "optimizer": {"name": "sgd"},
    "clip_norm": 1.0,
    "class_weights": "balanced",
    "freeze": ["encoders"],
    "lr_scale": {"encoders": 0.1},
    "threads": 2,
    "loader_workers": 0,
}


def arm(config: dict[str, Any], **train: Any) -> str:
    return TimingArm(timed_part({**config, "train": {**config["train"], **train}})).id


def test_every_setting_of_training_is_timed_or_is_not(config: dict[str, Any]) -> None:
    assert set(config["train"]) == set(TIMED) | set(UNTIMED)
    assert {arm(config, **{key: value}) for key, value in UNTIMED.items()} == {arm(config)}
    ids = {arm(config, **{key: value}) for key, value in TIMED.items()}
    assert len(ids | {arm(config)}) == len(TIMED) + 1


SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "nesterov": False}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": {**SGD}}, {"optimizer": {**SGD, "lr": 0.3, "momentum": 0.5}}),
        ({"optimizer": {**SGD, "weight_decay": 0.1}}, {"optimizer": {**SGD, "weight_decay": 0.2}}),
        ({"clip_norm": 1.0}, {"clip_norm": 5.0}),
        ({"lr_scale": {"fusion": 0.1, "heads": 2.0}}, {"lr_scale": {"heads": 3.0, "fusion": 0.2}}),
        ({"lr_scale": {"fusion": 0.1, "heads": 0.1}}, {"lr_scale": {"fusion": 0.2, "heads": 0.2}}),
    ],
)
def test_variants_whose_steps_cost_the_same_share_an_arm(
    config: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert arm(config, **one) == arm(config, **other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": SGD}, {"optimizer": {**SGD, "momentum": 0.0}}),
        ({"optimizer": SGD}, {"optimizer": {**SGD, "weight_decay": 0.1}}),
        ({"optimizer": SGD}, {"optimizer": {**SGD, "nesterov": True}}),
        ({"lr_scale": {"fusion": 0.1, "heads": 0.1}}, {"lr_scale": {"fusion": 0.1, "heads": 0.2}}),
        ({"lr_scale": {"fusion": 0.1, "heads": 0.1}}, {"lr_scale": {"fusion": 0.1, "heads": 1.0}}),
    ],
)
def test_what_saves_or_takes_work_makes_an_arm(
    config: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert arm(config, **one) != arm(config, **other)


def test_an_arm_can_be_built(config: dict[str, Any], bundle: DataBundle) -> None:
    given = {
        "optimizer": {**SGD, "weight_decay": 0.1, "nesterov": True},
        "lr_scale": {"fusion": 0.1, "heads": 7.0, "heads.slant": 0.1},
    }
    timed = timed_part({**config, "train": {**config["train"], **given}})
    step = build_step(timed, bundle, seed=0, device=torch.device("cpu"))
    # The rest, fusion with one head, the other heads; each with its own rate.
    rates = [group["lr"] for group in step.optimizer.param_groups]
    assert len(set(rates)) == len(rates) == 3
    assert all(group["nesterov"] and group["weight_decay"] for group in step.optimizer.param_groups)


def test_numerics_are_timed(config: dict[str, Any]) -> None:
    assert arm({**config, "numerics": {"memory_format": "contiguous"}}) != arm(config)


def test_the_source_is_that_of_everything_a_variant_is_made_of(config: dict[str, Any]) -> None:
    assert components_of(config) == [
        ("dataset", "glyphs"),
        ("encoder", "lenet"),
        ("encoder", "lstm"),
        ("fusion", "concat"),
        ("sharing", "hard"),
        ("weighting", "equal"),
        ("head", "classification"),
    ]
    one = {**config, "modalities": ["text"], "model": {"name": "mine", "sharing": 3}}
    assert components_of(one)[1:] == [
        ("model", "mine"),
        ("weighting", "equal"),
        ("head", "classification"),
    ]
