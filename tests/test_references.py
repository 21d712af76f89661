"""What the committed reference results say, against what must hold for them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mtmm.data.interactions import bayes_accuracy

REFERENCE = Path(__file__).resolve().parent.parent / "results" / "reference"
TASKS = ("redundant", "unique", "synergy")
ADDING = ("sum", "late_mean_prob", "late_mean_logit", "late_product", "late_learned")
MULTIPLYING = ("film", "gmu", "mi", "lowrank", "tensor")


@pytest.fixture(scope="module")
def interactions() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "interactions" / "comparison.csv", index_col="variant")


@pytest.mark.parametrize("fusion", MULTIPLYING)
@pytest.mark.parametrize("task", TASKS)
def test_fusions_that_multiply_reach_the_best_possible_accuracy(
    interactions: pd.DataFrame, fusion: str, task: str
) -> None:
    reached = interactions.loc[fusion, f"{task}.accuracy"]
    assert reached == pytest.approx(bayes_accuracy(task), abs=0.02)


@pytest.mark.parametrize("fusion", ADDING)
def test_fusions_that_add_cannot_see_synergy(interactions: pd.DataFrame, fusion: str) -> None:
    assert interactions.loc[fusion, "synergy.accuracy"] == pytest.approx(0.5, abs=0.02)
    for task in ("redundant", "unique"):
        reached = interactions.loc[fusion, f"{task}.accuracy"]
        assert reached == pytest.approx(bayes_accuracy(task), abs=0.02)


def test_the_verdicts_say_so(interactions: pd.DataFrame) -> None:
    verdicts = interactions["verdict"]
    assert (verdicts.loc[list(MULTIPLYING)] == "better").all()
    assert (verdicts.loc[[f for f in ADDING if f != "sum"]] == "not distinguishable").all()


def test_each_modality_is_missed_as_training_without_it_says() -> None:
    table = pd.read_csv(REFERENCE / "missing_modality" / "robustness.csv", index_col="variant")
    scores = pd.read_csv(REFERENCE / "missing_modality" / "comparison.csv", index_col="variant")
    whole = float(scores["score"]["concat-modality_dropout=0"])
    for name in ("image", "text"):
        assert float(scores["score"][name]) < whole
        known = table[table[f"only.{name}"].notna()]
        assert len(known) == 18
        assert (known[f"only.{name}"] < known["score"]).all()


def test_sharing_hurts_both_tasks_of_multi_fashion_under_every_weighting() -> None:
    table = pd.read_csv(REFERENCE / "multi_fashion" / "comparison.csv", index_col="variant")
    for task in ("left", "right"):
        assert (table[f"gain.{task}_hi"].drop("separate") < 0).all()
    assert table["verdict"]["separate"] == "better"
    others = table["verdict"].drop(["separate", "equal"])
    assert (others == "not distinguishable").all()
