from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bench
import mtmm
from mtmm.spec import DataBundle, in_memory
from tests.tables import write_table


def test_plan_run_and_load(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["seeds"] = 1
    assert [variant.name for variant in bench.plan(suite).variants] == ["hard", "separate"]
    frame = bench.run(suite, results=tmp_path, device="cpu")
    assert frame.equals(bench.load(tmp_path / "small"))


def test_a_wrong_suite_is_an_input_error(suite: dict[str, Any]) -> None:
    suite["fusion"] = "conact"
    with pytest.raises(bench.InputError, match="did you mean 'concat'"):
        bench.plan(suite)


def test_what_has_failed_is_tried_again_where_asked_for(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite |= {"sweep": [], "seeds": 1}

    def statuses(**how: Any) -> list[str]:
        return list(bench.run(suite, results=tmp_path, workers=0, **how)["status"])

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("not today")

    with monkeypatch.context() as patched:
        patched.setattr("bench.execution.unit.train", fails)
        assert statuses() == ["error"]
    assert statuses() == ["error"]
    assert statuses(retry_failed=True) == ["ok"]


@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_have_changed_since_the_last_call(
    workers: int, suite: dict[str, Any], tmp_path: Path
) -> None:
    def columns(offset: int) -> dict[str, list[Any]]:
        x = [(7 * i) % 11 for i in range(60)]
        y = [(value + offset) % 11 > 5 for value in x]
        return {"x": x, "y": y, "part": ["train", "val", "test"] * 20}

    dataset = {
        "name": "table",
        "file": write_table(tmp_path, **columns(0)),
        "inputs": {"numbers": {"kind": "vector", "columns": ["x"]}},
        "tasks": {"y": {"kind": "classification", "column": "y"}},
        "split": {"column": "part"},
    }
    suite |= {"dataset": dataset, "tasks": ["y"], "model": {"width": 4}, "sweep": [], "seeds": 1}
    suite["train"]["epochs"] = 20

    def score() -> float:
        frame = bench.run(suite, results=tmp_path / "results", workers=workers)
        return float(frame["test.y.loss"].item())

    first = score()
    write_table(tmp_path, **columns(3))
    second = score()
    assert first != second
    write_table(tmp_path, **columns(0))
    assert score() == first


def test_models_are_built_from_a_configuration(bundle: DataBundle) -> None:
    model = mtmm.build_model({"encoders": {"image": "lenet", "text": "lstm"}}, bundle)
    val = in_memory(bundle.val)
    output = model(val.inputs, val.present)
    assert output.outputs["script"].shape == (len(bundle.val), 16)


def test_importing_the_packages_does_not_import_pytorch() -> None:
    code = "import sys, bench, mtmm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
