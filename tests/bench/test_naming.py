from __future__ import annotations

from typing import Any

from hypothesis import given
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
        unique_by=lambda x: (x[0], x[1], f"{x[2]:g}"),
        max_size=8,
    )
)
def test_different_values_have_different_names(drawn: list[tuple[str, int, float]]) -> None:
    configs = [config({"name": name, "rank": rank}, lr) for name, rank, lr in drawn]
    names = variant_names(configs, [FUSION, LR])
    assert len(set(names)) == len(configs)
