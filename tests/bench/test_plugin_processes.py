from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

import bench
from bench.api import plan
from bench.cell import TimingBlock
from bench.errors import InputError
from bench.execution import timing
from bench.execution.run import Options, Run
from bench.plugins import importable, load_again, load_plugins
from bench.progress import Progress
from bench.store import Store
from mtmm.components import Registration, registered, restore, snapshot

pytestmark = pytest.mark.usefixtures("unloaded_after")
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


FUSION = """
from mtmm import register
from mtmm.fusion.sum import Sum

@register("fusion", "mine")
class Mine(Sum):
    def forward(self, features, present=None):
        return 2 * super().forward(features, present)
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def suite(folder: Path, name: str) -> dict[str, Any]:
    """A suite of the examples, cheap."""
    whole: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    dataset = {**whole["dataset"], "samples": 200}
    timing = {"batch_sizes": [16], "modes": ["train"], "budget_s": 0.05}
    # One variant with all there is: an arm takes a second.
    sweep = [{key: values[-1:] for block in whole["sweep"] for key, values in block.items()}]
    return {**whole, "dataset": dataset, "sweep": sweep, "seeds": 1, "timing": timing}


def forget(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]


def block(folder: Path, name: str) -> TimingBlock:
    load_plugins([folder / "my_components.py"])
    return plan(suite(folder, name)).blocks("machine")[0]


def test_what_a_script_or_notebook_defines_no_other_process_has() -> None:
    def one(module: str, file: str | None) -> Registration:
        return Registration("fusion", "mine", module, file, "hash")

    assert importable([])
    assert importable([one("mtmm_plugin_x", "x.py"), one("package.module", "module.py")])
    assert not importable([one("mtmm_plugin_x", "x.py"), one("__main__", "x.py")])
    assert not importable([one("__main__", None)])
    assert not importable([one("odd", None)])


def test_such_a_block_is_timed_in_this_process(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed, at_work = block(examples, "my_model"), timing._AtWork(tmp_path / "arm")
    options = Options(devices=(torch.device("cpu"),))
    run = Run(Store(tmp_path), options, "environment", tmp_path)
    one = timing.Timing(run, Progress(Console(), quiet=True), {})
    calls: list[str] = []

    def isolated(*arguments: Any, **_: Any) -> list[Any]:
        calls.append(f"a new process with {len(arguments[3])} components")
        return []

    def inline(*_: Any) -> list[Any]:
        calls.append("this one")
        return []

    monkeypatch.setattr(timing, "call_isolated", isolated)
    monkeypatch.setattr(timing, "time_block", inline)
    one._call(timed, at_work)
    monkeypatch.setattr(timing, "importable", lambda own: False)
    one._call(timed, at_work)
    assert calls == ["a new process with 4 components", "this one"]


def test_a_new_process_loads_the_same(examples: Path) -> None:
    before = snapshot()
    load_plugins([examples / "my_components.py"])
    own = registered()
    forget(examples)
    restore(before)
    load_again(own)
    assert registered() == own


def test_a_new_process_tells_when_the_code_has_changed(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()
    load_plugins([examples / "my_components.py"])
    own, value = registered(), suite(examples, "my_model")
    with (examples / "my_numbers.py").open("a", encoding="utf-8") as file:
        file.write("more = 1\n")

    def changed(*_: Any, **__: Any) -> None:
        now = snapshot()
        forget(examples)
        restore(before)
        try:
            load_again(own)
        finally:
            restore(now)

    monkeypatch.setattr(timing, "call_isolated", changed)
    frame = bench.run(value, results=tmp_path / "results", device="cpu", workers=0)
    timed = frame[frame["kind"] == "time"]
    assert set(timed["status"]) == {"error"}
    (reason,) = set(timed["reason"])
    assert "'waves' is not there or not the same in a new process" in reason
    assert "start again where its code has changed since" in reason


def test_a_new_process_imports_what_a_script_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot()
    file = write(tmp_path / "module_of_mine.py", FUSION)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("module_of_mine")
    own = registered()
    forget(tmp_path)
    restore(before)
    load_again(own)
    assert registered() == own
    forget(tmp_path)
    file.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(InputError, match=r"module_of_mine\.py: cannot be imported in a new"):
        load_again(own)


def test_a_file_edited_since_it_was_imported_is_told(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "module_of_mine.py", "import helper_of_mine\n" + FUSION)
    helper = write(tmp_path / "helper_of_mine.py", "x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("module_of_mine")
    suite["fusion"] = "mine"
    plan(suite)
    helper.write_text("x = 2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"module_of_mine\.py: has been edited, or what it imp"):
        plan(suite)
    plan({**suite, "fusion": "sum"})
    importlib.reload(module)
    plan(suite)
    file.write_text("class", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"reload\(sys.modules\['module_of_mine'\]\) loads it anew"
    ):
        plan(suite)
