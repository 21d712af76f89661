from __future__ import annotations

import os
import pickle
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.api import plan
from bench.cell import TimingBlock
from bench.cli import main
from bench.errors import InputError
from bench.plugins import load_plugins, own_components
from mtmm.components import REGISTRIES, registered, restore, snapshot
from mtmm.fusion import FUSIONS

pytestmark = pytest.mark.usefixtures("unloaded_after")

DOCS = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
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


def error(path: Path) -> str:
    """The message, with the file's folder left out."""
    before = (registered(), {kind: dict(registry) for kind, registry in REGISTRIES.items()})
    import_path, modules = list(sys.path), set(sys.modules)
    with pytest.raises(InputError) as caught:
        load_plugins([path])
    assert (registered(), {kind: dict(there) for kind, there in REGISTRIES.items()}) == before
    assert sys.path == import_path
    assert not [name for name in set(sys.modules) - modules if name.startswith("mtmm_plugin")]
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path.parent}{os.sep}", "")


def test_a_file_registers_components_once(tmp_path: Path) -> None:
    file = write(tmp_path / "my_parts.py", FUSION)
    load_plugins([file, str(file)])
    mine = FUSIONS["mine"]
    load_plugins([file])
    assert FUSIONS["mine"] is mine
    (told,) = registered()
    assert (told.kind, told.name, told.file) == ("fusion", "mine", str(file))
    assert vars(sys.modules[told.module])["Mine"] is mine
    assert mine.__module__ == told.module
    assert pickle.loads(pickle.dumps(mine)) is mine


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    one = write(tmp_path / "a" / "parts.py", FUSION)
    two = write(tmp_path / "b" / "parts.py", FUSION.replace('"mine"', '"other"'))
    load_plugins([one, two])
    assert FUSIONS["mine"].__module__ != FUSIONS["other"].__module__


def test_a_path_from_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "my-parts.py", FUSION)
    monkeypatch.chdir(tmp_path)
    load_plugins(["my-parts.py"])
    assert "mine" in FUSIONS


def test_it_finds_modules_beside_it_which_may_register_too(tmp_path: Path) -> None:
    write(tmp_path / "beside_it.py", FUSION)
    load_plugins([write(tmp_path / "parts.py", "import beside_it\n")])
    (told,) = registered()
    assert told.module == "beside_it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "parts.py:1: no component is registered; `@mtmm.register("),
        ("x = 1\ndef f(:\n    pass\n", "parts.py:2: not Python: invalid syntax"),
        ("\n\nimport not_there_at_all\n", "parts.py:3: ModuleNotFoundError: No module named"),
        (f"{FUSION}\nraise ValueError('a\\nb')\n", "parts.py:10: ValueError: a b"),
        (f"{FUSION}\nimport sys\nsys.exit(3)\n", "parts.py:11: it ended the program (exit code 3)"),
        (f"{FUSION}\ndef f():\n    1 / 0\n\nf()\n", "parts.py:11: ZeroDivisionError: division"),
        (FUSION.replace("Sum)", "dict)"), "parts.py:5: fusion 'mine' must be a subclass of"),
        (FUSION.replace('"mine"', '"sum"'), "parts.py:5: fusion 'sum' is there already"),
        (FUSION.replace('"fusion"', '"fuson"'), "parts.py:5: unknown kind of component 'fuson'"),
        ("\nimport json\njson.loads('x')\n", "parts.py:3: JSONDecodeError: Expecting value"),
        ("import broken_one\n", "parts.py:1: broken_one.py:2: not Python: "),
        ("\nimport failing_one\n", "parts.py:2: failing_one.py:3: ZeroDivisionError: division"),
        ("\nimport taken_one\n", "parts.py:2: taken_one.py:5: fusion 'sum' is there already"),
        ("\neval('1 +')\n", "parts.py:2: SyntaxError: invalid syntax"),
        ("x = 'a\0b'\n", "parts.py:1: "),
    ],
)
def test_what_fails_is_one_line_and_leaves_nothing(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "broken_one.py", "x = 1\ny = (\n")
    write(tmp_path / "failing_one.py", "import json\n\n1 / 0\n")
    write(tmp_path / "taken_one.py", FUSION.replace('"mine"', '"sum"'))
    assert error(write(tmp_path / "parts.py", text)).startswith(message)


def test_files_that_are_not_there_or_no_files_of_python(tmp_path: Path) -> None:
    write(tmp_path / "parts.py", FUSION)
    text = "part.py: cannot be read: No such file or directory; did you mean 'parts.py'?"
    assert error(tmp_path / "part.py") == text
    assert error(tmp_path / "sub" / "x.py") == "x.py: cannot be read: No such file or directory"
    (tmp_path / "folder.py").mkdir()
    assert error(tmp_path / "folder.py") == "folder.py: a folder; a plugin is a Python file"
    text = "parts.yaml: a plugin is a Python file, its name ends in .py; did you mean 'parts.py'?"
    assert error(write(tmp_path / "parts.yaml", "")) == text


def test_an_interrupt_passes_and_leaves_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "parts.py", f"{FUSION}\nraise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_plugins([file])
    assert "mine" not in FUSIONS


def test_files_before_a_bad_one_stay(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_plugins([write(tmp_path / "good.py", FUSION), write(tmp_path / "bad.py", "1 / 0")])
    assert "mine" in FUSIONS


def test_a_mended_file_loads_with_its_mended_helper(tmp_path: Path) -> None:
    helper = write(tmp_path / "helper_of_it.py", "FACTOR = 0\n")
    file = write(tmp_path / "parts.py", f"import helper_of_it\n1 / helper_of_it.FACTOR\n{FUSION}")
    assert error(file) == "parts.py:2: ZeroDivisionError: division by zero"
    helper.write_text("FACTOR = 1.5\n", encoding="utf-8")
    load_plugins([file])
    assert sys.modules["helper_of_it"].FACTOR == 1.5


# What uses them: identities, records, timing.


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


def cell_ids(value: dict[str, Any]) -> list[str]:
    planned = plan(value)
    cells = [cell.id for cell in planned.cells("cpu").values()]
    return [*cells, *(block.id for block in planned.blocks("machine"))]


@pytest.mark.parametrize(("name", "kinds"), [("my_suite", ["train"]), ("my_model", None)])
def test_the_examples_run_and_are_timed_and_run_only_once(
    examples: Path, tmp_path: Path, name: str, kinds: list[str] | None
) -> None:
    load_plugins([examples / "my_components.py"])
    value = suite(examples, name)
    if kinds:
        value["timing"] = "off"  # one process for timing is enough: it takes seconds to start
    frame = bench.run(value, results=tmp_path / "results", device="cpu")
    assert set(frame["status"]) == {"ok"}, frame["reason"].tolist()
    assert set(frame["kind"]) == set(kinds or ["train", "time"])
    assert len(set(frame["variant"])) > 1
    assert frame.loc[frame["kind"] == "train", "test.size.rmse"].notna().all()
    report = (tmp_path / "results" / value["name"] / "report.md").read_text(encoding="utf-8")
    assert "rmse" in report
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "results/cells").iterdir()}
    bench.run(value, results=tmp_path / "results", device="cpu")
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "results/cells").iterdir()}
    assert again == files


SHORT: dict[str, Any] = {
    "name": "short",
    "dataset": {"name": "smooth_glyphs", "limit": 200},
    "tasks": ["slant", "weight"],
    "model": {
        "encoders": {"image": "tiny", "text": {"name": "lstm", "embedding": 4}},
        "fusion": "half",
        "sharing": "frozen",
        "width": 8,
    },
    "weighting": "inverse",
    "train": {"epochs": 1},
    "sweep": [{"model": [{"name": "mean"}], "weighting": ["equal", "inverse"]}],
    "timing": "off",
}


def test_one_of_each_kind_in_sixty_lines_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = EXAMPLES / "short.py"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 60
    suite = write(tmp_path / "short.yaml", yaml.safe_dump(SHORT))
    results = str(tmp_path / "results")
    assert main(["run", str(suite), "--plugin", str(file), "--results", results, "-q"]) == 0
    kinds = {own.kind for own in registered()}
    assert kinds == set(REGISTRIES)
    frame = bench.load(tmp_path / "results" / "short")
    assert set(frame["status"]) == {"ok"}
    assert len(frame) == 4  # the base, its single-task twin, and the whole model twice
    capsys.readouterr()
    assert main(["list", "model", "--plugin", str(file)]) == 0
    assert "  mean: " in capsys.readouterr().out
    assert main(["schema", "--plugin", str(file)]) == 0
    assert '"smooth_glyphs"' in capsys.readouterr().out


def test_a_broken_plugin_ends_with_2_and_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write(tmp_path / "short.yaml", yaml.safe_dump(SHORT))
    file = write(tmp_path / "broken.py", FUSION.replace('"mine"', '"concat"'))
    for command in (["run", str(suite)], ["plan", str(suite)], ["list"], ["schema"]):
        assert main([*command, "--plugin", str(file)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"{file}:5: fusion 'concat' is there already: it comes with mtmm\n"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("my_components.py", "hidden: int = 32", "hidden: int = 33"),
        ("my_components.py", "nn.ReLU()", "nn.GELU()"),
        ("my_data.py", "+ 0.5", "+ 0.75"),
        ("my_numbers.py", "mean**0.5", "mean**0.25"),
    ],
)
def test_a_default_and_code_of_the_file_or_beside_it_change_the_identity(
    examples: Path, file: str, old: str, new: str
) -> None:
    before = snapshot()
    value = suite(examples, "my_suite")
    load_plugins([examples / "my_components.py"])
    ids = cell_ids(value)
    forget(examples)
    restore(before)
    text = (examples / file).read_text(encoding="utf-8")
    assert old in text
    (examples / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    load_plugins([examples / "my_components.py"])
    assert not set(ids) & set(cell_ids(value))


def forget(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]


def test_the_place_of_a_file_does_not_count(examples: Path, tmp_path: Path) -> None:
    before = snapshot()
    value = suite(examples, "my_suite")
    load_plugins([examples / "my_components.py"])
    ids = cell_ids(value)
    restore(before)
    forget(examples)
    sys.path.remove(str(examples))
    examples.rename(tmp_path / "moved")
    (tmp_path / "moved/my_components.py").rename(tmp_path / "moved/renamed.py")
    load_plugins([tmp_path / "moved/renamed.py"])
    assert cell_ids(value) == ids


def test_a_plugin_that_is_not_used_changes_nothing(config: Any, suite: Any, tmp_path: Path) -> None:
    ids = cell_ids(suite)
    load_plugins([write(tmp_path / "parts.py", FUSION)])
    assert cell_ids(suite) == ids


def block(folder: Path, name: str) -> TimingBlock:
    load_plugins([folder / "my_components.py"])
    return plan(suite(folder, name)).blocks("machine")[0]


def test_a_block_has_the_components_of_its_arms(examples: Path) -> None:
    own = {(c.kind, c.name) for c in own_components(block(examples, "my_model"))}
    assert own == {
        ("dataset", "waves"),
        ("head", "number"),
        ("model", "flat"),
        ("weighting", "inverse"),
    }  # and equal, classification and the optimizer, which come with it


def test_the_code_in_the_docs_plans_and_runs(suite: dict[str, Any], tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    load_plugins([write(tmp_path / "loud.py", code)])
    suite |= {"seeds": 1, "fusion": {"name": "loud", "gain": 3.0}, "sweep": []}
    assert plan(suite).variants[0].parameters is not None
    frame = bench.run(suite, results=tmp_path / "results", device="cpu", workers=0)
    assert set(frame["status"]) == {"ok"}


def test_the_suites_of_the_examples_plan() -> None:
    load_plugins([EXAMPLES / "my_components.py"])
    try:
        assert len(plan(EXAMPLES / "my_suite.yaml").variants) == 5
        assert len(plan(EXAMPLES / "my_model.yaml").variants) == 4
    finally:
        forget(EXAMPLES)
