from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.report.analysis import Analysis, analyse
from bench.report.effects import base_of
from bench.statistics import mean_interval

LR, FUSION, SHARING = "train.optimizer.lr", "model.fusion", "model.sharing"
SUM, CONCAT, SEPARATE = {"name": "sum"}, {"name": "concat"}, {"name": "separate"}
BASE = [0.50, 0.61, 0.55]


def row(analysis: Analysis, setting: str, value: str) -> dict[str, Any]:
    table = analysis.effects.table
    (found,) = table[(table["setting"] == setting) & (table["value"] == value)].to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_an_effect_is_the_mean_over_matched_pairs_by_seed(results: Any) -> None:
    varied = [FUSION, SHARING]
    results.add("concat-hard", BASE, varied=varied)
    results.add("sum-hard", [0.55, 0.63, 0.59], config={FUSION: SUM}, varied=varied)
    results.add("concat-sep", [0.60, 0.68, 0.70], config={SHARING: SEPARATE}, varied=varied)
    both = {FUSION: SUM, SHARING: SEPARATE}
    results.add("sum-sep", [0.69, 0.70, 0.73], config=both, varied=varied)
    analysis = analyse(results.write())
    by_seed = [(0.05 + 0.09) / 2, (0.02 + 0.02) / 2, (0.04 + 0.03) / 2]
    mean, lo, hi = mean_interval(by_seed)
    found = row(analysis, FUSION, "sum")
    assert found["reference"] == "concat"
    assert (found["n"], found["pairs"]) == (3, 2)
    assert [found[f"difference{end}"] for end in ("", "_lo", "_hi")] == pytest.approx(
        [mean, lo, hi]
    )
    assert row(analysis, SHARING, "separate")["difference"] == pytest.approx(
        np.mean([0.10, 0.07, 0.15, 0.14, 0.07, 0.14])
    )
    assert analysis.effects.gaps == ()


def test_with_one_setting_the_effects_are_the_differences_of_the_comparison(results: Any) -> None:
    results.add("a", BASE, varied=[LR])
    results.add("b", [0.4, 0.7, 0.5], config={LR: 0.1}, varied=[LR])
    results.add("c", [0.7, 0.7, "gone"], config={LR: 0.2}, varied=[LR])
    analysis = analyse(results.write())
    table = analysis.comparison.table.set_index("variant")
    for variant, value, n in (("b", "0.1", 3), ("c", "0.2", 2)):
        found = row(analysis, LR, value)
        assert found["n"] == n
        for name in ("difference", "difference_lo", "difference_hi"):
            assert found[name] == pytest.approx(table.loc[variant, name])


def test_a_pair_that_differs_in_more_is_no_pair(results: Any) -> None:
    zipped = [LR, FUSION]
    results.add("a", BASE, varied=zipped)
    results.add("b", BASE, config={LR: 0.1, FUSION: SUM}, varied=zipped)
    effects = analyse(results.write()).effects
    assert effects.table.empty
    assert effects.gaps == (
        f"{LR}: no two variants differ in it alone and share a seed.",
        f"{FUSION}: no two variants differ in it alone and share a seed.",
    )


def test_a_pair_without_all_seeds_is_left_out_where_others_have_them(results: Any) -> None:
    varied = [FUSION, LR]
    results.add("a", [0.5, 0.5, 0.5], varied=varied)
    results.add("a-sum", [0.6, 0.6, 0.6], config={FUSION: SUM}, varied=varied)
    results.add("b", [0.5, 0.5, 0.5], config={LR: 0.1}, varied=varied)
    results.add("b-sum", [0.9, 0.9, "gone"], config={LR: 0.1, FUSION: SUM}, varied=varied)
    found = row(analyse(results.write()), FUSION, "sum")
    assert (found["n"], found["pairs"]) == (3, 1)
    assert found["difference"] == pytest.approx(0.1)


def test_where_every_pair_lacks_a_seed_the_common_ones_count(results: Any) -> None:
    varied = [FUSION, LR]
    results.add("a", [0.5, 0.5, 0.5], varied=varied)
    results.add("a-sum", ["gone", 0.6, 0.6], config={FUSION: SUM}, varied=varied)
    results.add("b", [0.5, 0.5, 0.5], config={LR: 0.1}, varied=varied)
    results.add("b-sum", [0.9, 0.7, "gone"], config={LR: 0.1, FUSION: SUM}, varied=varied)
    found = row(analyse(results.write()), FUSION, "sum")
    assert (found["n"], found["pairs"]) == (1, 2)
    assert found["difference"] == pytest.approx((0.1 + 0.2) / 2)
    assert np.isnan(found["difference_lo"])


def test_without_a_modality_its_encoder_and_the_fusion_go_too(results: Any) -> None:
    image = {
        "modalities": ["image"],
        "model.encoders": {"image": {"name": "lenet", "channels": 2}},
        FUSION: {"name": "none"},
    }
    results.add("both", BASE, varied=[FUSION])
    results.add("sum", [0.1, 0.2, 0.3], config={FUSION: SUM}, varied=[FUSION])
    results.add("image", [0.4, 0.5, 0.4], config=image, varied=["modalities"])
    found = row(analyse(results.write()), "modalities", "image")
    assert (found["reference"], found["pairs"], found["n"]) == ("image+text", 1, 3)
    assert found["difference"] == pytest.approx(np.mean([-0.10, -0.11, -0.15]))


def test_other_tasks_are_compared_over_those_in_common(results: Any) -> None:
    results.add("both", [{"script": 0.4, "slant": 0.8}, {"script": 0.5, "slant": 0.8}])
    results.add(
        "no-slant",
        [{"script": 0.5}, {"script": 0.7}],
        config={"tasks": ["script"]},
        varied=["tasks"],
        ablation=True,
    )
    analysis = analyse(results.write())
    assert row(analysis, "tasks", "script")["difference"] == pytest.approx(0.15)
    (ablation,) = analysis.ablations.to_dict("records")
    assert ablation["difference"] == pytest.approx(0.15)
    assert (ablation["variant"], ablation["n"]) == ("no-slant", 2)


def test_components_are_told_by_what_tells_them_apart(results: Any) -> None:
    results.add("a", BASE, varied=[FUSION])
    for rank in (2, 4):
        fusion = {"name": "lowrank", "rank": rank, "dropout": 0.0}
        results.add(f"r{rank}", BASE, config={FUSION: fusion}, varied=[FUSION, f"{FUSION}.rank"])
    effects = analyse(results.write()).effects
    assert list(effects.table["value"]) == ["lowrank (rank 2)", "lowrank (rank 4)"]
    assert effects.gaps == (f"{FUSION}.rank: the baseline has no such setting.",)


def test_a_manifest_that_does_not_say_what_varied_is_looked_through(results: Any) -> None:
    results.add("a", BASE)
    results.add("b", BASE, config={LR: 0.1})
    results.add("c", BASE, config={FUSION: SUM})
    analysis = analyse(results.write())
    assert list(analysis.effects.table["setting"]) == [LR, FUSION]


def test_ablations_are_compared_with_the_base_not_the_baseline(results: Any) -> None:
    results.add("baseline", [0.1, 0.2], config={FUSION: SUM}, varied=[FUSION])
    results.add("base", [0.5, 0.6])
    results.add("equal", [0.4, 0.4], varied=["weighting"], ablation=True)
    analysis = analyse(results.write())
    assert analysis.base == "base"
    assert analysis.ablations["difference"].tolist() == pytest.approx([-0.15])
    assert base_of({**analysis.manifest, "base": "equal"}) == "equal"
