"""Results made by hand: a store whose numbers a test can state."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.compare import Comparison
from bench.records import MANIFEST_VERSION
from bench.store import Store, write_json
from tests.bench.report.comparisons import small_comparison

CONFIG: dict[str, Any] = {
    "dataset": {"name": "glyphs"},
    "modalities": ["image", "text"],
    "tasks": ["script", "slant"],
    "model": {
        "encoders": {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}},
        "fusion": {"name": "concat"},
        "sharing": {"name": "hard"},
    },
    "weighting": {"name": "equal"},
    "train": {"optimizer": {"name": "adamw", "lr": 0.01}},
}


@dataclass
class Results:
    """A results folder with one suite, filled variant by variant; the first is the baseline."""

    root: Path
    suite: str = "demo"
    question: str = "Which?"
    command: str = "mtmm-bench run demo.yaml"
    skips: list[dict[str, str]] = field(default_factory=list)
    variants: list[dict[str, Any]] = field(default_factory=list)
    single_task: dict[str, str] = field(default_factory=dict)
    family: dict[str, list[str]] | None = None
    """What the manifest has under that key; None: it is of before there was one."""
    dynamics: Sequence[Mapping[str, Any]] = ({}, {})
    """What the epochs of train records that are added have besides scores."""

    @property
    def folder(self) -> Path:
        return self.root / "demo"

    def add(
        self,
        name: str,
        scores: Sequence[float | Mapping[str, float] | str],
        *,
        step_ms: tuple[float, float, float] | None = None,
        config: Mapping[str, Any] | None = None,
        varied: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """A variant with a score a seed (a mapping gives it by task; a text is why it failed).

        `step_ms` are median and bounds; `config` dotted settings that replace the base's.
        """
        place = len(self.variants)
        resolved = _replaced(config or {})
        train = [
            {"seed": seed, "record": self._train(f"t{place:03}{seed:03}", resolved["tasks"], score)}
            for seed, score in enumerate(scores)
        ]
        time = [] if step_ms is None else [self._time(f"s{place:03}", step_ms)]
        variant = {"name": name, "compared": True, "varied": list(varied), "ablation": False}
        self.variants.append(variant | {"config": resolved, "train": train, "time": time} | more)

    def also_timed(self, batch_size: int, samples_per_s: float) -> None:
        """Another timing of the variant that was added last."""
        identity = f"b{len(self.variants):03}{batch_size}"
        self._time(identity, (9.0, 8.0, 10.0), batch_size, samples_per_s)
        self.variants[-1]["time"].append(identity)

    def profile(self, parts: Sequence[tuple[str, str, float]], **more: Any) -> None:
        """A profile of the variant that was added last: part, direction and µs of its work."""
        identity = f"p{len(self.variants):03}"
        whole = sum(us for _, _, us in parts)
        summary: dict[str, Any] = {
            "steps": 5,
            "unattributed_share": 0.01,
            "parts": [
                {"part": part, "direction": direction, "us": us, "share": us / whole}
                for part, direction, us in parts
            ],
            "kinds": {"gemm": 0.75, "copy": 0.25, "norm": 0.0},
            "notes": [],
        }
        record = {
            "kind": "profile",
            "environment": "e1",
            "status": "ok",
            "reason": "",
            "batch_size": 64,
            "device_name": "a CPU",
            "overhead": 1.25,
        }
        outside = {*record, "memory_timeline"}
        given = {key: more.pop(key) for key in list(more) if key in outside}
        Store(self.root).write(identity, record | given | {"summary": summary | more})
        self.variants[-1]["profile"] = identity

    def write(self) -> Path:
        """The manifest; the suite's folder."""
        metric = {"higher_is_better": True, "ideal": 1.0, "version": 1}
        family = {} if self.family is None else {"family": self.family}
        write_json(
            self.folder / "manifest.json",
            {
                "schema_version": MANIFEST_VERSION,
                "suite": self.suite,
                "question": self.question,
                "baseline": self.variants[0]["name"],
                **family,
                "single_task": self.single_task,
                "command": self.command,
                "skips": self.skips,
                "metrics": {"accuracy": metric},
                "variants": self.variants,
            },
        )
        return self.folder

    def _train(
        self, identity: str, tasks: Sequence[str], score: float | Mapping[str, float] | str
    ) -> str:
        record: dict[str, Any] = {"kind": "train", "started": "2026-03-04T05:06:07+00:00"}
        record |= {"config": CONFIG, "environment": "e1", "status": "ok", "reason": ""}
        if isinstance(score, str):
            record |= {"status": "error", "reason": score, "log": f"logs/{identity}.log"}
        else:
            by_task = score if isinstance(score, Mapping) else dict.fromkeys(tasks, score)
            mean = sum(by_task.values()) / len(by_task)
            metrics = {task: {"accuracy": value} for task, value in by_task.items()}
            record |= {
                "seconds": 1.0,
                "steps": 10,
                "samples": 100,
                "params": 1234,
                "epochs": dict.fromkeys(by_task, 2),
                "scores": {"val": mean, "test": mean},
                "task_scores": {"val": by_task, "test": by_task},
                "val": metrics,
                "test": metrics,
                "curve": [
                    {"epoch": epoch, "val_score": mean * epoch / len(self.dynamics), **more}
                    for epoch, more in enumerate(self.dynamics, start=1)
                ],
            }
        Store(self.root).write(identity, record)
        return identity

    def _time(
        self,
        identity: str,
        step_ms: tuple[float, float, float],
        batch_size: int = 64,
        samples_per_s: float = 1000.0,
    ) -> str:
        median, low, high = step_ms
        summary = {"step_ms": median, "step_lo_ms": low, "step_hi_ms": high}
        summary |= {"forward_ms": median / 2, "backward_ms": median / 3, "n": 50, "rounds": 8}
        summary |= {"step_iqr_share": 0.04, "unstable_share": 0.25, "flagged_share": 0.0}
        Store(self.root).write(
            identity,
            {
                "kind": "time",
                "started": "2026-03-04T05:06:08+00:00",
                "environment": "e1",
                "status": "ok",
                "reason": "",
                "mode": "train",
                "batch_size": batch_size,
                "block": "b1" if batch_size == 64 else "b2",
                "device_name": "a CPU",
                "summary": {**summary, "samples_per_s": samples_per_s},
                "samples": {"stop": "budget"},
                "cost": {"peak_mib": 1.0, "flops": 1e6},
            },
        )
        return identity


def _replaced(settings: Mapping[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    for path, value in settings.items():
        *parents, last = path.split(".")
        inner = config
        for part in parents:
            inner = inner[part]
        inner[last] = value
    return config


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """An empty results folder."""
    return Results(tmp_path / "results")


SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished suite whose every text tries to be more than text."""
    made = Results(
        tmp_path_factory.mktemp("hostile"),
        suite=SCRIPT,
        question=f"{SCRIPT} {IMAGE} </title></style>",
        command=f"mtmm-bench run {SCRIPT} `--set` '{IMAGE}'",
        skips=[{"variant": IMAGE, "reason": SCRIPT}],
    )
    made.dynamics = [
        {
            "weights": {"script": weight, SCRIPT: 1.0},
            "gradients": {
                "norms": {"script": 1.0, SCRIPT: weight},
                "cosines": {"script": {SCRIPT: weight - 1}},
                "conflict_rate": 0.5,
            },
        }
        for weight in (0.5, 1.5)
    ]
    lr = "train.optimizer.lr"
    work = [(f"encoders.{SCRIPT}.a", "forward", 5.0), (IMAGE, "backward", 7.0)]
    note = {"kind": "custom_function", "text": SCRIPT}
    made.add("base", [0.50, 0.60, 0.55], step_ms=(10.0, 9.9, 10.1), varied=[lr])
    timeline = {"ms": [0.0, 1.0, 2.0], "parts": {f"encoders.{SCRIPT}.a": [0.0, 1.0, 0.5]}}
    heads = (f"heads.{IMAGE}", "forward", 1.0)
    made.profile([*work, heads], notes=[note], memory_timeline=timeline)
    made.add(
        SCRIPT, [0.70, 0.81, 0.74], step_ms=(20.0, 19.0, 21.0), config={lr: IMAGE}, varied=[lr]
    )
    made.profile(work)
    made.also_timed(256, 3000.0)
    made.add(
        IMAGE, [0.40, 0.51, SCRIPT + IMAGE], step_ms=(5.0, 4.9, 5.1), config={lr: 0.5}, varied=[lr]
    )
    made.add("100 % of $x_1^2$ | \\ & {[~#]} Δ", [0.45, 0.2, 0.3], ablation=True)
    made.add('[--"', [0.61, 0.2, 0.3], config={"weighting": {"name": SCRIPT}}, ablation=True)
    environment = made.root / "environments" / "e1.json"
    environment.parent.mkdir(parents=True)
    environment.write_text(json.dumps({"cpu": SCRIPT, "packages": {IMAGE: "1.0"}}))
    return made.write()


@pytest.fixture
def small() -> Comparison:
    """See `small_comparison`."""
    return small_comparison()
