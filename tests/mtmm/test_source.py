from __future__ import annotations

from pathlib import Path

import pytest

from mtmm import source
from mtmm.source import combine, file_hash, local_files, own_files, text_hash, tree_hash

CODE = '''
"""A module."""

LIMIT = 3
"""An attribute."""

class A:
    """A class."""

    def f(self, x):
        """A function."""
        return x + 1
'''


@pytest.mark.parametrize(
    "same",
    [
        CODE + "\n# a comment\n",
        CODE.replace("A module.", "Something else."),
        CODE.replace("An attribute.", "Something else."),
        CODE.replace("A function.", "Something else."),
        CODE.replace('"""A module."""', ""),
        CODE.replace('"""An attribute."""', ""),
        CODE.replace('"""A class."""', ""),
        CODE.replace('"""A function."""', ""),
        CODE.replace("x + 1", "(x\n            + 1)"),
        CODE.replace("LIMIT = 3", "LIMIT  =  3  # three"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(same: str) -> None:
    assert same != CODE
    assert text_hash(same) == text_hash(CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("x + 1", "x + 2"),
        CODE.replace("x + 1", "x - 1"),
        CODE.replace("LIMIT", "BOUND"),
        CODE.replace("return x + 1", "return 'A function.'"),
        CODE + "\nA.f = None\n",
    ],
)
def test_code_counts(other: str) -> None:
    assert text_hash(other) != text_hash(CODE)


def test_strings_that_are_values_count() -> None:
    assert text_hash("f('a')") != text_hash("f('b')")
    assert text_hash("def f():\n  return 'a'") != text_hash("def f():\n  return 'b'")


def test_a_file_hashes_as_its_text(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(CODE + "\nname = 'Δ'\n", encoding="utf-8")
    assert file_hash(file) == file_hash(str(file)) == text_hash(CODE + "\nname = 'Δ'\n")


def test_combined_hashes_depend_on_each_and_on_their_order() -> None:
    a, b = text_hash("a"), text_hash("b")
    made = [combine([a, b]), combine([b, a]), combine([a]), combine([]), combine(iter([a, a]))]
    assert len(set(made)) == len(made)
    assert combine(iter([a, b])) == combine([a, b])


def test_a_tree_is_the_file_and_the_local_modules_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    texts = {
        "main": "import os, a\nimport pack.b as b\ndef f():\n    from pack import c, value\n",
        "a": "import main\nif True:\n    import ghost, broken\n",
        "pack/__init__": "value = 1\n",
        "pack/b": "from . import d\nfrom .deep.e import x\nfrom ..outside import y\n",
        "pack/c": "from __future__ import annotations\n",
        "pack/d": "from .. import nothing\nimport mtmm.source, bench.api\n",
        "pack/deep/e": "from ..f import y\n",
        "pack/f": "",
        "pack/unused": "",
        "other": "",
        "os": "never = 'hidden by the standard library, but on the safe side'\n",
        "mtmm": "",
        "outside": "",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "broken.py").write_text("def", encoding="utf-8")
    names = [str(p.relative_to(tmp_path)) for p in local_files(tmp_path / "main.py")]
    inside = ["__init__.py", "b.py", "c.py", "d.py", "deep/e.py", "f.py"]
    assert names == ["main.py", "a.py", "os.py", "outside.py", *(f"pack/{n}" for n in inside)]


@pytest.mark.parametrize("name", ["main", "helper"])
def test_code_of_the_file_and_of_what_it_imports_counts(tmp_path: Path, name: str) -> None:
    texts = {"main": "from helper import x\n", "helper": "x = 1\n", "other": "x = 1\n"}

    def tree(folder: str, change: str, text: str) -> str:
        (tmp_path / folder).mkdir()
        for file, code in texts.items():
            more = text if file == change else ""
            (tmp_path / folder / f"{file}.py").write_text(code + more, encoding="utf-8")
        return tree_hash(tmp_path / folder / "main.py")

    same = tree("same", name, "# a comment\n")
    assert same == tree("moved", "other", "y = 2\n")
    assert same != tree("changed", name, "y = 2\n")


def test_modules_of_a_package_are_found_from_above_it(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    for name, text in {
        "__init__": "",
        "a": "import pack.b\nfrom . import c",
        "b": "",
        "c": "",
    }.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text, encoding="utf-8")
    names = [p.name for p in local_files(tmp_path / "pack" / "a.py", "pack")]
    assert names == ["a.py", "__init__.py", "b.py", "c.py"]
    assert [p.name for p in local_files(tmp_path / "pack" / "a.py")] == ["a.py", "c.py"]


def test_of_installed_packages_only_the_own_one_counts(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for name in ("mine", "theirs"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
    (site / "mine" / "a.py").write_text("import theirs\nfrom . import b", encoding="utf-8")
    (site / "mine" / "b.py").touch()
    names = [p.name for p in local_files(site / "mine" / "a.py", "mine")]
    assert names == ["a.py", "__init__.py", "b.py"]


def test_a_file_that_is_no_python_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def", encoding="utf-8")
    with pytest.raises(SyntaxError):
        tree_hash(tmp_path / "broken.py")
    with pytest.raises(OSError, match="gone"):
        tree_hash(tmp_path / "gone.py")


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("from mtmm.fusion.sum import Sum", "fusion/sum fusion/base"),
        ("import mtmm.fusion.sum as s", "fusion/sum fusion/base"),
        ("def f():\n    from mtmm.fusion import sum", "fusion/sum fusion/base"),
        ("from mtmm.fusion import Sum", "fusion/sum fusion/base"),
        ("from mtmm.fusion import FUSIONS", "fusion/__init__ fusion/sum fusion/base"),
        ("import mtmm.fusion", "fusion/__init__ fusion/sum fusion/base"),
        ("import mtmm\nx = mtmm.fusion.FUSIONS", "fusion/__init__ fusion/sum fusion/base"),
        ("import mtmm\n@mtmm.register\ndef f(): ...", ""),
        ("from mtmm import register", ""),
        ("from mtmm import build_model", "model fusion/__init__ fusion/sum fusion/base"),
        ("import mtmm as m\nm.build_model", "model fusion/__init__ fusion/sum fusion/base"),
        ("import bench, torch\nbench.run()", ""),
    ],
)
def test_the_modules_of_the_project_that_code_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, modules: str
) -> None:
    texts = {
        "mtmm/__init__": "def f():\n    from mtmm.model import build_model\n"
        "    from mtmm.components import register\n",
        "mtmm/components": "import mtmm.model",
        "mtmm/model": "from mtmm.fusion import FUSIONS",
        "mtmm/fusion/__init__": "from mtmm.fusion.sum import Sum\nFUSIONS = {'sum': Sum}",
        "mtmm/fusion/base": "from mtmm.settings import Range",
        "mtmm/fusion/sum": "from mtmm.fusion.base import Fusion",
        "mtmm/settings": "",
        "bench/__init__": "from bench.api import run",
        "bench/api": "import mtmm.fusion.sum",
        "plugin": code,
    }
    for name, text in texts.items():
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
    monkeypatch.setattr(source, "_HOME", tmp_path)
    found = own_files([tmp_path / "plugin.py"])
    wanted = {tmp_path / "mtmm" / f"{name}.py" for name in modules.split()}
    assert found == sorted(wanted)


def test_a_module_of_the_project_is_hashed_without_the_packages_it_is_in() -> None:
    file = Path(source.__file__).parent / "fusion" / "sum.py"
    assert local_files(file, "mtmm.fusion") == [file]
    assert tree_hash(file) == combine(map(file_hash, (file, file.with_name("base.py"))))
