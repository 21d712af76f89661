"""Whatever a cell's process does, its record says so and the others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from bench.api import plan
from bench.cell import TrainCell
from bench.execution import timing
from bench.execution.pool import _read
from bench.execution.run import Options
from bench.execution.worker import Job
from bench.plugins import load_plugins
from bench.progress import Progress
from bench.report.frame import load_frame
from bench.running import Outcome, run_plan
from bench.store import Store
from mtmm.components import restore, snapshot

EVIL = '''
import os, signal, time
from typing import Literal
import torch
from torch import nn
from mtmm import register
from mtmm.spec import ModelOutput

How = Literal[
    "well", "raise", "exit", "kill", "hang", "nan", "hog", "say", "signal", "fork", "end",
    "exit_timed", "hang_timed",
]

@register("model", "evil")
class Evil(nn.Module):
    """Does what it should not."""

    def __init__(self, bundle, *, how: How = "well"):
        super().__init__()
        self.how = how
        self.heads = nn.ModuleDict({t.name: nn.Linear(28, t.classes) for t in bundle.tasks})

    def forward(self, inputs, present):
        if self.how == "raise":
            raise RuntimeError("I will not")
        if self.how == "exit":
            os._exit(7)
        if self.how == "exit_timed" and "MTMM_BENCH_ISOLATED" in os.environ:
            os._exit(7)
        if self.how == "hang_timed" and "MTMM_BENCH_ISOLATED" in os.environ:
            time.sleep(1000)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hang":
            time.sleep(1000)
        if self.how == "signal":
            os.kill(os.getpid(), 40)
        if self.how == "end":
            raise SystemExit(0)
        if self.how == "fork":
            child = os.fork()
            if child == 0:
                time.sleep(1000)
            print(child, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hog":
            torch.empty(2**50)
        if self.how == "say":
            print("hello from the cell")
            raise RuntimeError("said it")
        x = inputs["image"].mean((1, 2))
        if self.how == "nan":
            x = x * float("nan")
        return ModelOutput(outputs={name: head(x) for name, head in self.heads.items()})
'''


@pytest.fixture
def evil(suite: dict[str, Any], tmp_path: Path) -> Iterator[dict[str, Any]]:
    before = snapshot()
    (tmp_path / "evil.py").write_text(EVIL)
    load_plugins([tmp_path / "evil.py"])
    yield {**suite, "model": {"name": "evil"}, "seeds": 1, "sweep": []}
    restore(before)


def go(suite: dict[str, Any], root: Path, **options: Any) -> Outcome:
    how = Options(**{"devices": (torch.device("cpu"),), "workers": 2, **options})
    return run_plan(plan(suite), Store(root), how, Progress(Console(), quiet=True))


def test_what_goes_wrong_in_a_process_is_its_record_and_no_one_elses(
    evil: dict[str, Any], tmp_path: Path
) -> None:
    ways = ["raise", "exit", "kill", "hang", "nan", "hog"]
    evil["sweep"] = [{"model.how": ways}]
    outcome = go(evil, tmp_path / "results", timeout_s=20)
    frame = load_frame(tmp_path / "results" / "small").set_index("variant")
    assert dict(frame["status"]) == {
        "how=well": "ok",
        "how=raise": "error",
        "how=exit": "error",
        "how=kill": "error",
        "how=hang": "timeout",
        "how=nan": "diverged",
        "how=hog": "oom",
    }
    reasons = frame["reason"]
    assert "I will not" in reasons["how=raise"]
    assert reasons["how=exit"] == "its process ended with exit code 7 and no result"
    assert reasons["how=kill"].startswith("its process was ended by SIGKILL")
    assert reasons["how=hang"] == "it ran longer than 20 s"
    assert len(outcome.failed) == 6
    assert outcome.ran == 7
    assert not list((tmp_path / "results" / "locks").iterdir())
    assert go(evil, tmp_path / "results").ran == 0


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [("exit_timed", "error", "died: exit code 7"), ("hang_timed", "timeout", "hung: ")],
)
def test_an_arm_that_ends_or_hangs_its_process_costs_the_others_nothing(
    how: str,
    status: str,
    reason: str,
    evil: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "_BUILDING_S", 20.0)
    evil |= {"sweep": [{"model.how": [how]}], "timing": {"modes": ["train"], "budget_s": 0.1}}
    outcome = go(evil, tmp_path / "results")
    frame = load_frame(tmp_path / "results" / "small")
    timed = frame[frame["kind"] == "time"].set_index("variant")
    assert dict(timed["status"]) == {"how=well": "ok", f"how={how}": status}
    assert reason in timed["reason"][f"how={how}"]
    assert timed["time.step_ms"]["how=well"] > 0
    assert [label for label, _ in outcome.failed] == [f"how={how} time train at batch size 32"]
    assert go(evil, tmp_path / "results").ran == 0


def test_odd_ends_of_a_process_and_what_it_leaves_behind(
    evil: dict[str, Any], tmp_path: Path
) -> None:
    evil["sweep"] = [{"model.how": ["signal", "fork", "end"]}]
    go(evil, tmp_path / "results")
    frame = load_frame(tmp_path / "results" / "small").set_index("variant")
    assert frame["reason"]["how=signal"] == "its process was ended by signal 40"
    assert frame["reason"]["how=fork"].startswith("its process was ended by SIGKILL")
    assert frame["reason"]["how=end"] == "it ended the program (exit code 0)"
    logs = [path.read_text() for path in (tmp_path / "results" / "logs").iterdir()]
    (child,) = (int(text) for text in logs if text.strip().isdecimal())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alive(child):
        time.sleep(0.1)
    assert not alive(child)


def test_a_record_that_cannot_be_read_is_an_error(tmp_path: Path, config: dict[str, Any]) -> None:
    cell = TrainCell(config, 0, "data", "cpu")
    files = {"data": tmp_path, "checkpoint": tmp_path / "c", "kept": tmp_path / "k"}
    job = Job(cell=cell, device="cpu", log=tmp_path / "l", own=(), watch=None, **files)
    job.answer.write_bytes(b"\x80half of it")
    assert _read(job)["status"] == "error"
    assert _read(job)["reason"].startswith("its record cannot be read: ")


def test_what_is_tried_again_keeps_what_was_printed_before(
    evil: dict[str, Any], tmp_path: Path
) -> None:
    evil["sweep"] = [{"model.how": ["say"]}]
    go(evil, tmp_path)
    go(evil, tmp_path, retry_failed=True)
    (log,) = (tmp_path / "logs").iterdir()
    assert log.read_text().count("hello from the cell") == 2


def test_what_a_cell_prints_is_in_its_log_and_the_failure_names_it(
    evil: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    evil["sweep"] = [{"model.how": ["say"]}]
    outcome = go(evil, tmp_path / "results")
    assert "hello" not in capfd.readouterr().out
    ((_, reason),) = outcome.failed
    place = Path(reason.rpartition("(")[2].rstrip(")"))
    assert "hello from the cell" in place.read_text()
    assert (
        len(list((tmp_path / "results" / "logs").iterdir())) == 1
    )  # that of the good cell is gone


def test_processes_give_the_bits_of_this_process(suite: dict[str, Any], tmp_path: Path) -> None:
    assert go(suite, tmp_path / "apart").ran == go(suite, tmp_path / "inline", workers=0).ran == 4
    apart, inline = (load_frame(tmp_path / name / "small") for name in ("apart", "inline"))
    same = [column for column in apart.columns if column != "train.seconds"]
    assert apart[same].equals(inline[same])


def test_a_script_without_a_main_guard_runs_once(suite: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import bench\nprint('once')\nbench.run({suite!r}, results={str(tmp_path / 'r')!r})\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, str(script)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout.count("once") == 1


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def descendants(pid: int) -> list[int]:
    return [d for child in children_of(pid) for d in (child, *descendants(child))]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_leaves_no_process(
    evil: dict[str, Any], tmp_path: Path, how: signal.Signals
) -> None:
    evil["sweep"] = [{"model.how": ["hang"]}]
    (tmp_path / "evil.yaml").write_text(yaml.safe_dump(evil))
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-m", "bench", "run", str(tmp_path / "evil.yaml")]
    options = ["--plugin", str(tmp_path / "evil.py"), "--results", str(tmp_path / "results")]
    run = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )
    logs = tmp_path / "results" / "logs"
    deadline = time.monotonic() + 60
    try:
        while not (logs.exists() and list(logs.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        there = descendants(run.pid)
        assert there, "its cell has not begun: another run may be timing on this machine"
        run.send_signal(how)
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    if how != signal.SIGKILL:
        assert run.returncode == 1
        assert "the same command goes on" in err
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(alive, there)):
        time.sleep(0.1)
    assert not [pid for pid in there if alive(pid)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
