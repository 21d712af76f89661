"""What holds for the tree as a whole: layers, sizes, registries."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.settings import Component, settings_of
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("mtmm/**/*.py"), *ROOT.glob("bench/**/*.py")])
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60  # without its docstring

REGISTRIES: dict[str, Mapping[str, Component]] = {
    "data": DATASETS,
    "encoders": ENCODERS,
    "fusion": FUSIONS,
    "heads": HEADS,
    "sharing": SHARINGS,
    "weighting": WEIGHTINGS,
}
HELPERS = {
    "data": {"cache", "fetch", "glyph_faces", "overlaid", "samples", "splits"},
    "encoders": {"attentive", "backbones", "recurrent", "words"},
    "sharing": {"gates", "mixing", "progressive"},
    "fusion": {"conformance", "decision", "pair", "projected", "tokens"},
    "heads": {"confusion", "decision", "judging", "linear"},
    "weighting": {"gramian", "jacobian", "making", "stateful", "usage"},
}
"""Modules of a component folder that define no component, besides base.py."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imported(tree: ast.Module) -> set[str]:
    """The top-level packages a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            names.add(node.module.split(".")[0])
    return names


def test_the_tree_is_where_these_tests_look() -> None:
    assert {"mtmm/model.py", "mtmm/fusion/base.py", "bench/cli.py"} <= set(map(_name, MODULES))


def test_imports_go_from_bench_to_mtmm_and_never_back() -> None:
    upward = [
        _name(path)
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == "mtmm"
        and _imported(ast.parse(path.read_text(encoding="utf-8"))) & {"bench", "tests"}
    ]
    assert upward == []


def test_no_module_imports_tests() -> None:
    assert [
        _name(path)
        for path in MODULES
        if "tests" in _imported(ast.parse(path.read_text(encoding="utf-8")))
    ] == []


def test_modules_are_short() -> None:
    lines = {_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long[f"{_name(path)}:{node.name}"] = lines
    assert long == {}


def _lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_importing_mtmm_does_not_import_torch() -> None:
    code = "import sys, mtmm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_plan_does_without_what_reports_need() -> None:
    code = "import sys, bench.commands.plan; sys.exit(bool({'pandas', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_importing_the_data_sets_does_not_import_what_only_tables_need() -> None:
    code = "import sys, mtmm.data; sys.exit(bool({'pandas', 'scipy.signal'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("folder", REGISTRIES)
def test_every_component_is_in_the_file_of_its_name_and_every_file_is_registered(
    folder: str,
) -> None:
    registered = {}
    for name, component in REGISTRIES[folder].items():
        module = inspect.getmodule(inspect.unwrap(component))
        assert module is not None
        assert module.__file__ is not None
        registered[name] = Path(module.__file__)
    files = {
        path
        for path in (ROOT / "mtmm" / folder).glob("*.py")
        if path.stem not in {"__init__", "base"} | HELPERS.get(folder, set())
    }
    assert {name: path.stem for name, path in registered.items()} == {
        name: name for name in registered
    }
    assert set(registered.values()) == files


@pytest.mark.parametrize("folder", REGISTRIES)
def test_registries_are_sorted_and_document_their_components(folder: str) -> None:
    registry = REGISTRIES[folder]
    assert list(registry) == sorted(registry)
    for component in registry.values():
        assert inspect.unwrap(component).__doc__
        settings_of(component)  # every setting has an annotation and a default


def test_registries_hold_no_code_of_their_own() -> None:
    """They change with every new component, so no identity covers them."""
    for folder in REGISTRIES:
        tree = ast.parse((ROOT / "mtmm" / folder / "__init__.py").read_text(encoding="utf-8"))
        code = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
        names = {getattr(node, "name", "") for node in ast.walk(tree) if isinstance(node, code)}
        # `build` is for training loops of one's own, which have no identity.
        assert names <= ({"build"} if folder == "weighting" else set()), folder
