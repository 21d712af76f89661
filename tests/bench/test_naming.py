from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bench.naming import variant_names

FUSION, LR = ("model", "fusion"), ("train", "optimizer", "lr")


def config(fusion: dict[str, Any], lr: float = 0.1, **other: Any) -> dict[str, Any]:
    return {"model": {"fusion": fusion}, "train": {"optimizer": {"lr": lr}}, **other}


def test_a_component_shows_only_settings_that_differ() -> None:
    configs = [
        config({"name": "gated", "gate": "image", "scale": 1.0}),
        config({"name": "gated", "gate": "text", "scale": 1.0}),
        config({"name": "sum"}),
    ]
    assert variant_names(configs, [FUSION]) == ["gated(gate=image)", "gated(gate=text)", "sum"]


def test_values_carry_their_key_and_lists_are_joined() -> None:
    configs = [config({"name": "sum"}, lr, modalities=["image", "text"]) for lr in (0.1, 1e-5)]
    assert variant_names(configs, [("modalities",), LR]) == [
        "image+text-lr=0.1",
        "image+text-lr=1e-05",
    ]


def test_a_setting_inside_a_swept_component_is_not_shown_twice() -> None:
    configs = [config({"name": "gated", "gate": g}) for g in ("image", "text")]
    assert variant_names(configs, [FUSION, (*FUSION, "gate")]) == [
        "gated(gate=image)",
        "gated(gate=text)",
    ]


def test_without_a_sweep_there_is_only_the_base() -> None:
    assert variant_names([config({"name": "sum"})], []) == ["base"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["sum", "gated"]), st.integers(0, 3), st.floats(0.1, 10)),
        unique=True,
        max_size=8,
    )
)
def test_different_values_have_different_names(drawn: list[tuple[str, int, float]]) -> None:
    configs = [config({"name": name, "rank": rank}, lr) for name, rank, lr in drawn]
    names = variant_names(configs, [FUSION, LR])
    assert len(set(names)) == len(configs)


def test_numbers_that_look_the_same_when_short_are_told_apart() -> None:
    configs = [config({"name": "sum"}, lr) for lr in (0.001, 0.0010000001)]
    assert variant_names(configs, [LR]) == ["lr=0.001", "lr=0.0010000001"]


def test_of_a_mapping_only_the_parts_that_differ_are_shown() -> None:
    encoders = [
        {"image": {"name": "lenet", "channels": 4}, "text": {"name": "lstm"}},
        {"image": {"name": "lenet", "channels": 8}, "text": {"name": "lstm"}},
        {"text": {"name": "lstm"}},
    ]
    configs = [{"model": {"encoders": e, "width": 8}} for e in encoders]
    names = ["lenet(channels=4)", "lenet(channels=8)", "base"]
    assert variant_names(configs, [("model", "encoders")]) == names
    assert variant_names(configs, [("model",)]) == names


@example([("a-a", "a"), ("a", "a-a"), ("a", "a-a#2")])
@given(st.lists(st.tuples(*[st.text("a-#2", min_size=1, max_size=3)] * 2), unique=True, max_size=8))
def test_names_that_hold_what_joins_them_stay_distinct(drawn: list[tuple[str, str]]) -> None:
    configs = [{"fusion": {"name": one}, "sharing": {"name": two}} for one, two in drawn]
    assert len(set(variant_names(configs, [("fusion",), ("sharing",)]))) == len(configs)
