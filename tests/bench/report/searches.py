"""A small search whose numbers a test can state, as the file that a search leaves."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LR, FUSION, HEADS, WIDTH = "train.optimizer.lr", "fusion", "model.fusion.heads", "model.width"

GATED = json.dumps({"bias": True, "name": "gated"})

SPACE: list[dict[str, Any]] = [
    {"name": LR, "log": True, "low": 1e-4, "high": 1e-2},
    {"name": FUSION, "choices": ['"concat"', GATED]},
    {"name": HEADS, "log": False, "low": 1, "high": 9},
    {"name": WIDTH, "log": False, "low": 16, "high": 64},
]


def trial(
    number: int,
    values: Sequence[float | None] | None,
    state: str = "complete",
    feasible: bool = True,
    **params: float | str,
) -> dict[str, Any]:
    """A trial; `lr` and so on stand for the settings of the space."""
    names = {"lr": LR, "fusion": FUSION, "heads": HEADS, "width": WIDTH}
    return {
        "number": number,
        "state": state,
        "reason": "",
        "values": values,
        "feasible": feasible,
        "params": {names.get(name, name): value for name, value in params.items()},
        "samples": 100,
        "seconds": 1.0,
    }


def arm(
    name: str,
    trials: Sequence[Mapping[str, Any]],
    chosen: int | None,
    front: Sequence[int] = (),
    importance: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """An arm with its only study."""
    return {
        "arm": name,
        "label": f"{name}-tuned",
        "repeat": 0,
        "study": f"search/{name}/ab12",
        "chosen": chosen,
        "front": list(front),
        "importance": dict(importance or {}),
        "trials": list(trials),
    }


ONE: dict[str, Any] = {
    "schema_version": 1,
    "suite": "search",
    "objectives": [{"name": "val.score", "direction": "maximize"}],
    "constraints": [{"name": "step_ms", "max": 5.0}],
    "sampler": "tpe",
    "pruner": "hyperband",
    "trials_asked": 8,
    "seeds": 2,
    "space": SPACE,
    "arms": [
        arm(
            "hard",
            [
                trial(0, [0.5], lr=1e-3, fusion='"concat"'),
                trial(1, [0.4], lr=1e-2, fusion='"concat"'),
                trial(2, [0.9], feasible=False, lr=1e-4, fusion='"concat"'),
                trial(3, [0.3], "pruned", lr=1e-4, fusion='"concat"'),
                trial(4, None, "pruned", lr=1e-4, fusion='"concat"'),
                trial(5, None, "failed", lr=1e-4, fusion='"concat"'),
                trial(6, [0.6], lr=2e-3, fusion=GATED, heads=5),
                trial(7, None, "running", feasible=False, lr=2e-3),
            ],
            chosen=6,
            front=[6],
            importance={FUSION: 0.2, LR: 0.8},
        ),
        arm("cross_stitch", [trial(0, [0.2], width=16), trial(1, [0.7], width=64)], 1, [1]),
    ],
}
"""One objective, a constraint, trials of every kind; no two arms have the same settings."""


def several(*objectives: tuple[str, str], values: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A search of one arm for several objectives: a trial for each row of values."""
    made = copy.deepcopy(ONE) | {"constraints": []}
    made["objectives"] = [{"name": name, "direction": way} for name, way in objectives]
    trials = [trial(i, list(row), lr=1e-3) for i, row in enumerate(values)]
    made["arms"] = [arm("hard", trials, chosen=0)]
    return made


def write_search(folder: Path, search: object) -> Path:
    """Put the file of a search beside a suite's manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "search.json").write_text(json.dumps(search), encoding="utf-8")
    return folder
