from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bench
import mtmm
from mtmm.spec import DataBundle, in_memory


def test_plan_run_and_load(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["seeds"] = 1
    assert [variant.name for variant in bench.plan(suite).variants] == ["hard", "separate"]
    frame = bench.run(suite, results=tmp_path, device="cpu")
    assert frame.equals(bench.load(tmp_path / "small"))


def test_a_wrong_suite_is_an_input_error(suite: dict[str, Any]) -> None:
    suite["fusion"] = "conact"
    with pytest.raises(bench.InputError, match="did you mean 'concat'"):
        bench.plan(suite)


def test_models_are_built_from_a_configuration(bundle: DataBundle) -> None:
    model = mtmm.build_model({"encoders": {"image": "lenet", "text": "lstm"}}, bundle)
    val = in_memory(bundle.val)
    output = model(val.inputs, val.present)
    assert output.outputs["script"].shape == (len(bundle.val), 16)


def test_importing_the_packages_does_not_import_pytorch() -> None:
    code = "import sys, bench, mtmm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
