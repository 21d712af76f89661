"""Trials given up while they train in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from bench.cli import main
from bench.records import as_record
from tests.conftest import SUITE

EPOCHS = 3
# Median pruning looks at nothing before five trials are complete.
RATES = [0.01, 0.011, 0.012, 0.013, 0.014, 1e-8, 1e-9]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_rates_at_which_nothing_is_learned_are_given_up(workers: str, tmp_path: Path) -> None:
    suite = {
        **SUITE,
        "train": {**SUITE["train"], "epochs": EPOCHS},
        "search": {
            "space": {"train.optimizer.lr": RATES},
            "sampler": "grid",
            "pruner": "median",
            "seeds": 2,
        },
    }
    path, results = tmp_path / "small.yaml", tmp_path / "results"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    options = ["--results", str(results), "--device", "cpu", "-q", "--workers", workers]
    assert main(["search", str(path), *options]) == 0
    told = json.loads((results / "small-tuned" / "search.json").read_text(encoding="utf-8"))
    (arm,) = told["arms"]
    assert [trial["state"] for trial in arm["trials"]] == ["complete"] * 5 + ["pruned"] * 2
    whole, *_ = (trial["samples"] for trial in arm["trials"])
    for trial in arm["trials"][5:]:
        # One seed of two, and not all of its epochs.
        assert 0 < trial["samples"] < whole / 2
        assert trial["reason"].startswith("given up after epoch")
    records = [json.loads(file.read_text()) for file in (results / "cells").glob("*.json")]
    pruned = [as_record(one, one["id"]) for one in records if one["status"] == "pruned"]
    assert len(pruned) == 2
    assert all(len(one["curve"]) == one["epochs_trained"] < EPOCHS for one in pruned)
    # What was given up is not among the units of any suite, and nothing is left of its process.
    assert not list((results / "logs").glob("*"))
