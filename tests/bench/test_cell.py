from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bench.cell import TimingArm, TimingBlock, TrainCell, identity, timed_part
from bench.document import parse
from bench.planning import make_plan
from bench.suite import build_suite

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
    inner[path[-1]] = old[:1] if isinstance(old, list) else 0.123
    return other


def test_every_setting_is_part_of_the_identity(config: dict[str, Any]) -> None:
    paths = list(leaves(config))
    assert len(paths) > 12
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


def test_epochs_and_schedule_do_not_change_what_is_timed(config: dict[str, Any]) -> None:
    longer = {**config, "train": {**config["train"], "epochs": 99, "schedule": {"name": "cosine"}}}
    assert TimingArm(timed_part(config)).id == TimingArm(timed_part(longer)).id
