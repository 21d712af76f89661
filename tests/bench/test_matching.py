from __future__ import annotations

from typing import Any

import pytest

from bench.api import plan
from bench.errors import InputError
from bench.matching import nearest_width
from mtmm.model import build_model


@pytest.mark.parametrize("wanted", [1, 10, 100, 1000, 12_345])
def test_the_nearest_width_is_that_of_all(wanted: int) -> None:
    def count(width: int) -> int:
        return width**3 + 7 * width

    found = nearest_width(count, wanted, start=10)
    best = min(range(1, 200), key=lambda w: (abs(count(w) - wanted), w))
    assert found == best


def test_widths_that_cannot_be_had_are_passed_over() -> None:
    def count(width: int) -> int | None:
        return None if width % 4 else width * width

    assert nearest_width(count, 1000, start=10) == 32
    assert nearest_width(lambda width: None, 1000, start=10) is None


def _matched(suite: dict[str, Any], *fusions: str) -> dict[str, Any]:
    return {
        **suite,
        "sweep": [{"fusion": ["concat", *fusions], "model.match": ["off", "parameters"]}],
        "baseline": {"fusion": "concat"},
        "model": {**suite["model"], "width": 64},
    }


def test_matched_arms_have_about_the_parameters_of_the_baseline(suite: dict[str, Any]) -> None:
    planned = plan(_matched(suite, "mi", "late_mean_prob", "early"))
    sizes = {variant.name: variant.parameters for variant in planned.variants}
    base = sizes.pop(planned.baseline)
    assert base is not None
    matched = {name: size for name, size in sizes.items() if "width=" in name}
    assert len(matched) == 3
    assert len(sizes) == 6
    for name, size in matched.items():
        # Widths of attention are multiples of its heads.
        assert size == pytest.approx(base, rel=0.1 if "early" in name else 0.03), name
    assert (sizes["mi"] or 0) > 1.5 * base


def test_the_resolved_variant_has_a_width_and_no_match(suite: dict[str, Any]) -> None:
    for variant in plan(_matched(suite, "mi")).variants:
        assert "match" not in variant.config["model"]
        assert sum(
            p.numel()
            for p in build_model(variant.config["model"], _description(variant.config)).parameters()
        ) == (variant.parameters)


def _description(config: dict[str, Any]) -> Any:
    from bench.variant import description_of

    return description_of(config)


def test_a_width_that_changes_nothing_is_kept(suite: dict[str, Any]) -> None:
    suite |= {"dataset": {"name": "interactions"}, "tasks": ["synergy"]}
    suite |= {"model": {"width": 8}, "sweep": [], "baseline": {"fusion": "sum"}}
    suite["sweep"] = [{"fusion": ["sum", "late_mean_prob"], "model.match": ["off", "parameters"]}]
    planned = plan(suite)
    assert {v.config["model"]["width"] for v in planned.variants} == {8}
    (skip,) = planned.skips
    assert "`match: parameters` comes to 36 parameters at best, and the baseline has 162" in (
        skip.reason
    )


def test_a_size_out_of_reach_is_skipped_with_the_figure(suite: dict[str, Any]) -> None:
    suite = _matched(suite, "sum")
    suite["sweep"][0]["encoders.image"] = [
        {"name": "resnet18"},
        suite["model"]["encoders"]["image"],
    ]
    suite["baseline"]["encoders.image"] = suite["model"]["encoders"]["image"]
    reasons = [skip.reason for skip in plan(suite).skips]
    assert len(reasons) == 2
    assert all("parameters at best, and the baseline has" in reason for reason in reasons)


@pytest.mark.parametrize("heads", [3, 6])
def test_heads_of_any_number_are_matched(suite: dict[str, Any], heads: int) -> None:
    suite = _matched(suite)
    suite["model"]["width"] = 96
    early = {"name": "early", "heads": heads}
    suite["sweep"][0]["fusion"] = ["concat", early]
    widths = {v.config["model"]["width"] for v in plan(suite).variants}
    assert len(widths) == 2
    assert all(width % heads == 0 for width in widths)


def test_in_a_swept_model_it_holds_and_is_checked(suite: dict[str, Any]) -> None:
    model = {**suite["model"], "width": 64}
    suite |= {"model": model, "baseline": {"fusion": "concat"}}
    suite["sweep"] = [{"model": [model, {**model, "fusion": "mi", "match": "parameters"}]}]
    assert sorted(v.config["model"]["width"] for v in plan(suite).variants) == [30, 64]
    suite["sweep"][0]["model"][1]["match"] = "nonsense"
    with pytest.raises(InputError, match="`match` must be parameters or off; found the word 'non"):
        plan(suite)


def test_of_the_base_it_holds_for_every_variant(suite: dict[str, Any]) -> None:
    suite = _matched(suite)
    suite["model"]["match"] = "parameters"
    suite["sweep"] = [{"fusion": ["concat", "mi"]}]
    widths = {v.name: v.config["model"]["width"] for v in plan(suite).variants}
    assert widths["base"] == 64  # concat, of the width it had
    assert widths["mi"] < 64


def test_another_word_is_refused_with_its_place(suite: dict[str, Any]) -> None:
    suite["model"]["match"] = "flops"
    with pytest.raises(InputError, match="`match` must be parameters or off; found the word 'flo"):
        plan(suite)


def test_memory_is_computed_before_it_is_taken(suite: dict[str, Any]) -> None:
    suite |= {"max_params": 1e12, "sweep": [{"fusion": ["concat", "tensor", "mi"]}]}
    suite["model"]["width"] = 4000
    planned = plan(suite)
    assert [v.name for v in planned.variants] == ["concat"]
    reasons = {skip.name: skip.reason for skip in planned.skips}
    assert "MiB to train 64," in reasons["mi"]
    assert "more than max_memory_mib (16,384)" in reasons["mi"]
    suite["model"]["fusion"] = "mi"
    with pytest.raises(InputError, match=r"model: about .* MiB to train 64,"):
        plan(suite)


def test_what_is_timed_and_every_path_count(suite: dict[str, Any]) -> None:
    suite |= {"sweep": [{"fusion": ["sum", "tensor"]}], "max_memory_mib": 50}
    suite["timing"] = {"batch_sizes": [100_000]}
    assert [skip.name for skip in plan(suite).skips] == ["tensor"]
    suite["timing"] = {"batch_sizes": [8]}
    assert not plan(suite).skips
    suite |= {"max_memory_mib": 100}
    suite["train"]["batch_size"] = 2**17
    suite["sweep"] = [{"fusion": ["tensor"], "sharing": ["hard", "separate"]}]
    (skip,) = plan(suite).skips
    assert "separate" in skip.name


def test_attention_between_many_tokens_counts(suite: dict[str, Any]) -> None:
    suite["model"]["encoders"]["image"] = {"name": "vit_small", "patch": 1, "layers": 1}
    suite |= {"sweep": [{"fusion": ["sum", "early"]}], "max_memory_mib": 4000}
    suite["train"]["batch_size"] = 512
    (skip,) = plan(suite).skips
    assert skip.name == "early"


def test_the_largest_tensor_of_a_fusion_counts(suite: dict[str, Any]) -> None:
    suite |= {"sweep": [{"fusion": ["tensor"]}], "max_memory_mib": 64}
    suite["train"]["batch_size"] = 64
    assert len(plan(suite).variants) == 2
    suite["train"]["batch_size"] = 2**20
    suite |= {"sweep": [{"fusion": ["sum", "tensor"]}]}
    assert "tensor" in {skip.name for skip in plan({**suite, "max_memory_mib": 300}).skips}
