"""Blocks whose process hangs or dies, in place of a process: what becomes of their arms."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from bench.cell import TimingArm, TimingBlock
from bench.execution import timing
from bench.execution.isolated import ProcessDiedError, ProcessHangsError
from bench.execution.locks import Machine, UnitLock
from bench.execution.run import FailFastError, Options, Run
from bench.execution.timing import Timing, longest_turn_s
from bench.progress import Progress
from bench.store import Store

CPU = (torch.device("cpu"),)
ERRORS = {"hang": ProcessHangsError("no sign of life"), "die": ProcessDiedError("exit code 3")}


def record(block: TimingBlock) -> dict[str, Any]:
    head = {"kind": "time", "status": "ok", "reason": "", "summary": {}, "block": block.id}
    return head | {"mode": block.mode, "batch_size": 8, "device_name": "d"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arms of each process that was started; those that are called so hang or die."""
    calls: list[list[str]] = []

    def isolated(
        function: object, block: TimingBlock, device: str, own: object, at_work: Any, **_: Any
    ) -> list[dict[str, Any]]:
        calls.append([arm.config["how"] for arm in block.arms])
        for arm in block.arms:
            at_work(arm.id)
            if arm.config["how"].startswith("at the start"):
                at_work("nothing")
                raise ERRORS["die"]
            if arm.config["how"].rstrip("0123456789") in ERRORS:
                raise ERRORS[arm.config["how"].rstrip("0123456789")]
        return [record(block) for _ in block.arms]

    monkeypatch.setattr(timing, "call_isolated", isolated)
    return calls


@pytest.fixture
def block(config: dict[str, Any]) -> Callable[..., TimingBlock]:
    def make(*ways: str) -> TimingBlock:
        arms = tuple(TimingArm({**config, "how": how}) for how in ways)
        return TimingBlock(arms, ("data",), 8, "train", 0.1, "d")

    return make


def go(block: TimingBlock, root: Path, *, left_out: Any = None, **more: Any) -> Run:
    options = Options(devices=CPU, fail_fast=more.pop("fail_fast", False))
    run = Run(Store(root), options, "environment", root, **more)
    Timing(run, Progress(Console(), quiet=True), left_out or {}).time(block)
    return run


def told(block: TimingBlock, root: Path) -> list[tuple[str, str]]:
    records = [Store(root).look(block.record_id(arm)) for arm in block.arms]
    assert {one["block"] for one in records} == {block.id}
    return [(one["status"], one["reason"]) for one in records]


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("hang", "timeout", "the timing process hung: no sign of life"),
        ("die", "error", "the timing process died: exit code 3"),
    ],
)
def test_the_arm_that_ended_its_process_is_out_and_the_others_are_timed(
    calls: Any, block: Any, tmp_path: Path, how: str, status: str, reason: str
) -> None:
    whole = block("a", how, "b")
    go(whole, tmp_path)
    assert calls == [["a", how, "b"], ["a", "b"]]
    assert told(whole, tmp_path) == [("ok", ""), (status, reason), ("ok", "")]
    go(whole, tmp_path)
    assert len(calls) == 2  # what failed stays failed


def test_after_a_second_death_all_have_a_record(calls: Any, block: Any, tmp_path: Path) -> None:
    whole = block("a", "die1", "hang1", "die2")
    go(whole, tmp_path)
    assert [status for status, _ in told(whole, tmp_path)] == ["error", "error", "timeout", "error"]
    beside = ("error", "not timed beside another arm: the timing process hung: no sign of life")
    assert told(whole, tmp_path)[0] == told(whole, tmp_path)[3] == beside
    assert len(calls) == 2


def test_a_death_that_is_no_arms_is_everyones(calls: Any, block: Any, tmp_path: Path) -> None:
    whole = block("at the start", "a")
    go(whole, tmp_path)
    assert {status for status, _ in told(whole, tmp_path)} == {"error"}
    assert len(calls) == 1


def test_failed_arms_are_tried_again_when_asked_for_with_all_of_their_block(
    calls: Any, block: Any, tmp_path: Path
) -> None:
    whole = block("a", "die")
    go(whole, tmp_path)
    store, failed = Store(tmp_path), whole.record_id(whole.arms[1])
    go(whole, tmp_path, again={failed: store.stamp(failed) - 1})
    assert len(calls) == 2  # another run has tried again since
    go(whole, tmp_path, again={failed: store.stamp(failed)})
    assert calls[2:] == [["a", "die"], ["a"]]
    assert len(list((tmp_path / "set-aside").iterdir())) == 1


def test_an_arm_that_could_not_be_trained_is_left_out_until_it_can(
    calls: Any, block: Any, tmp_path: Path
) -> None:
    whole = block("a", "die")
    why = {whole.arms[1].id: "not trained: error: exit code 3"}
    run = go(whole, tmp_path, left_out=why)
    assert told(whole, tmp_path) == [("ok", ""), ("skipped", "not trained: error: exit code 3")]
    assert not any(run.failure(whole.record_id(arm)) for arm in whole.arms)
    go(whole, tmp_path, left_out=why)
    assert calls == [["a"]]
    go(whole, tmp_path)
    assert calls[1:] == [["a", "die"], ["a"]]


def test_nothing_is_started_where_no_arm_could_be_trained(
    calls: Any, block: Any, tmp_path: Path
) -> None:
    whole = block("a")
    go(whole, tmp_path, left_out={whole.arms[0].id: "no"})
    assert told(whole, tmp_path) == [("skipped", "no")]
    assert calls == []


def test_how_long_a_turn_may_take(block: Any) -> None:
    assert longest_turn_s(block("a"), None) == 2 * 0.1 + 600
    assert longest_turn_s(block("a"), 3) == 2 * 0.1 + 600
    assert longest_turn_s(block("a"), 7200) == 2 * 0.1 + 7200


def test_a_failed_arm_is_told_has_a_log_and_ends_a_run_that_is_to_end(
    calls: Any, block: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = block("a", "die")
    log = Store(tmp_path).log(whole.id)
    log.parent.mkdir()
    log.write_text("what it printed")
    run = Run(Store(tmp_path), Options(devices=CPU, fail_fast=True), "environment", tmp_path)
    with pytest.raises(FailFastError, match="timing: train at batch size 8: error: the timing"):
        Timing(run, Progress(Console()), {}).time(whole)
    assert "1 of 2 arms failed" in capsys.readouterr().out
    good, bad = (Store(tmp_path).look(whole.record_id(arm)) for arm in whole.arms)
    assert "log" not in good
    assert bad["log"] == f"logs/{whole.id}.log"


def test_records_that_cannot_be_written_fail_alone(
    calls: Any, block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, *_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    whole = block("a")
    (identity,) = map(whole.record_id, whole.arms)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        run = go(whole, tmp_path)
        assert "could not be written" in run.unwritten[identity]
    with monkeypatch.context() as patch:
        patch.setattr(UnitLock, "acquire", full)
        run = go(whole, tmp_path)
        assert "could not be started" in run.unwritten[identity]
    assert go(whole, tmp_path).unwritten == {}


def test_waiting_for_other_runs_is_told_once(
    calls: Any,
    block: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MTMM_BENCH_LOCKS", str(tmp_path))
    monkeypatch.setattr(timing, "_POLL_S", 0.05)
    whole, there = block("a"), threading.Event()

    def other_run() -> None:
        lock = UnitLock(Store(tmp_path).locks, whole.id)
        lock.acquire("other")
        with Machine().training(lambda: None):
            there.set()
            time.sleep(0.3)
            lock.release()
            time.sleep(0.3)

    other = threading.Thread(target=other_run)
    other.start()
    there.wait()
    run = Run(Store(tmp_path), Options(devices=CPU), "environment", tmp_path)
    Timing(run, Progress(Console()), {}).time(whole)
    other.join()
    out = capsys.readouterr().out
    assert out.count("waiting: another run times train at batch size 8\n") == 1
    assert out.count("waiting: other runs on this machine work\n") == 1
