"""The plugins that docs/data.md shows run as suites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.cli import main
from bench.plugins import load_plugins
from mtmm.data import DATASETS
from mtmm.spec import in_memory
from tests.test_docs import ROOT, blocks

TEXT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.usefixtures("unloaded_after")


def run(folder: Path, code: str, **changes: Any) -> set[str]:
    """The status of the units of the suite shown, in a cheap form, with such a plugin."""
    (folder / "plugin.py").write_text(code, encoding="utf-8")
    load_plugins([folder / "plugin.py"])
    (shown,) = blocks(TEXT, "yaml")
    suite = {**yaml.safe_load(shown), "seeds": 1, "timing": "off", **changes}
    suite["train"] = {**suite["train"], "epochs": 1}
    frame = bench.run(suite, results=folder / "results", workers=0)
    assert len(frame) == 2
    return set(frame["status"])


def test_a_torch_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_code, _ = blocks(TEXT, "python")
    assert run(tmp_path, torch_code) == {"ok"}
    made = DATASETS["torch_digits"]()
    assert [len(part) for part in (made.train, made.val, made.test)] == [1079, 359, 359]
    # The command that is shown beside it.
    (tmp_path / "mine.yaml").write_text(blocks(TEXT, "yaml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--data", "mine.yaml", "--picture", "items.png"]) == 0
    assert (tmp_path / "items.png").exists()


def test_a_hugging_face_dataset(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    _, code = blocks(TEXT, "python")
    changes = {
        "dataset": {"name": "hf_digits"},
        "model": {"encoders": {"pixels": "mlp"}, "width": 8},
    }
    assert run(tmp_path, code, **changes) == {"ok"}
    parts = [in_memory(part) for part in _splits(DATASETS["hf_digits"]())]
    assert sum(len(part) for part in parts) == 1797
    missing = [int((~part.labelled["ink"]).sum()) for part in parts]
    assert sum(missing) == 1
    assert all(part.present["pixels"].all() for part in parts)


def _splits(bundle: Any) -> list[Any]:
    return [bundle.train, bundle.val, bundle.test]
