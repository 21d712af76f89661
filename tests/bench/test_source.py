from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.source import (
    PROFILING_CORE,
    TIMING_CORE,
    TRAINING_CORE,
    component_hash,
    core_hash,
    module_hash,
    named_hash,
)
from mtmm.components import register, registered, restore, snapshot
from mtmm.data import DATASETS
from mtmm.fusion import FUSIONS
from mtmm.fusion.sum import Sum
from mtmm.settings import Component
from mtmm.source import combine, local_files, own_files
from mtmm.weighting import mgda

ROOT = Path(__file__).resolve().parents[2]

# Imported by the core, but unable to change a number: names and checks of settings, errors,
# hashes, what is kept beside a record, intervals of summaries that are made again from the samples.
HARMLESS = {
    *("bench.conforming", "bench.errors", "bench.keeping", "bench.source"),
    *("mtmm.blame", "mtmm.settings", "mtmm.registry", "mtmm.source"),
}
# Those, and what they are built on, count where they are used.
COMPONENTS = (
    "mtmm.data.",
    "mtmm.encoders.",
    "mtmm.fusion.",
    "mtmm.heads.",
    "mtmm.masking",
    "mtmm.sharing.",
    "mtmm.solvers.",
    "mtmm.weighting.",
)


def path_of(module: str) -> Path | None:
    if module.split(".")[0] not in ("bench", "mtmm"):
        return None
    spec = importlib.util.find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin)


def imports(module: str) -> set[str]:
    path = path_of(module)
    assert path is not None
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            if is_registry(node.module):  # `from package import module`
                modules |= {name for name in inner if path_of(name) is not None}
    return {module for module in modules if module.split(".")[0] in ("bench", "mtmm")}


def closure(module: str) -> set[str]:
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in seen | HARMLESS:
            seen.add(name)
            todo += imports(name)
    return seen


def is_registry(module: str) -> bool:
    path = path_of(module)
    return path is not None and path.name == "__init__.py"


def test_the_core_holds_every_module_a_unit_runs_through() -> None:
    for entry, core in (
        ("bench.training", TRAINING_CORE),
        ("bench.timing.workload", TRAINING_CORE + TIMING_CORE),
        ("bench.timing.block", TRAINING_CORE + TIMING_CORE),
        ("bench.profiling.session", TRAINING_CORE + PROFILING_CORE),
        ("bench.profiling.summary", TRAINING_CORE + PROFILING_CORE),
    ):
        others = {m for m in closure(entry) if not is_registry(m)} - set(core)
        assert {m for m in others if not m.startswith(COMPONENTS)} == set()


def test_bases_of_components_are_in_the_core() -> None:
    for kind in ("encoders", "fusion", "heads", "sharing", "weighting"):
        assert f"mtmm.{kind}.base" in TRAINING_CORE


def test_components_of_different_files_differ() -> None:
    fusions: dict[str, Component] = dict(FUSIONS)
    assert component_hash(fusions["sum"]) != component_hash(fusions["concat"])
    used: tuple[str, ...] = ("mtmm.fusion.sum", "mtmm.fusion.base")
    assert component_hash(fusions["sum"]) == combine(map(module_hash, used))
    used = ("mtmm.data.glyphs", "mtmm.data.cache", "mtmm.data.glyph_faces", "mtmm.spec")
    assert component_hash(DATASETS["glyphs"]) == combine(map(module_hash, used))
    assert core_hash(TRAINING_CORE) != core_hash(TIMING_CORE)


def test_components_by_name_hash_as_their_module_or_as_they_were_registered() -> None:
    assert named_hash("fusion", "sum") == component_hash(dict[str, Component](FUSIONS)["sum"])
    before = snapshot()
    try:
        register("fusion", "mine")(Sum)
        assert named_hash("fusion", "mine") == registered()[0].source
        assert named_hash("fusion", "mine") != named_hash("fusion", "sum")
    finally:
        restore(before)


LOUD = """
from mtmm import register
{}

@register("fusion", "loud")
class Loud({}):
    def forward(self, features, present=None):
        return 2 * super().forward(features, present)
"""
TELL = """
from bench.plugins import load_plugins
from bench.source import named_hash
load_plugins(["loud.py"])
print(named_hash("fusion", "loud"), named_hash("fusion", "sum"), named_hash("fusion", "none"))
"""


def hashes(folder: Path, plugin: str) -> list[str]:
    """Of a plugin's fusion, of `sum` and of `none`, by the project in that folder."""
    (folder / "loud.py").write_text(plugin)
    told = subprocess.run(
        [sys.executable, "-c", TELL], cwd=folder, check=True, capture_output=True, text=True
    )
    return told.stdout.split()


@pytest.mark.parametrize(
    ("imported", "base"),
    [
        ("from mtmm.fusion.sum import Sum", "Sum"),
        ("from mtmm.fusion import FUSIONS", 'FUSIONS["sum"]'),
    ],
)
def test_a_component_changes_with_those_that_it_builds_on(
    tmp_path: Path, imported: str, base: str
) -> None:
    for package in ("bench", "mtmm"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    plugin = LOUD.format(imported, base)
    before = hashes(tmp_path, plugin)
    with (tmp_path / "mtmm" / "fusion" / "sum.py").open("a") as file:
        file.write("more = 1\n")
    after = hashes(tmp_path, plugin)
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, False, True]


def test_a_component_depends_on_what_it_is_built_on() -> None:
    built_on = {path.stem for path in own_files(local_files(Path(mgda.__file__)))}
    assert {"simplex", "nonnegative", "supports", "gramian"} <= built_on
