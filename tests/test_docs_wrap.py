"""What docs/wrap.md shows is what the examples hold, and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.api import plan
from bench.cli import main
from bench.plugins import load_plugins
from mtmm.components import registration
from tests.test_docs import ROOT, blocks

GUIDE = (ROOT / "docs" / "wrap.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples"


def test_its_code_is_that_of_the_examples() -> None:
    *excerpts, last = blocks(GUIDE, "python")
    code = (EXAMPLES / "my_net.py").read_text(encoding="utf-8")
    assert len(excerpts) == 2
    assert all(excerpt in code for excerpt in excerpts)
    assert "load_model" in last
    suite, backbones, keep = blocks(GUIDE, "yaml")
    assert set(suite.splitlines()) <= set((EXAMPLES / "my_net.yaml").read_text().splitlines())
    assert "name: backbones" in backbones
    assert "keep" in keep


def test_the_suite_over_a_frozen_backbone_plans() -> None:
    value = yaml.safe_load(blocks(GUIDE, "yaml")[1])
    told = plan(value)
    assert [variant.name for variant in told.variants] == ["concat", "film", "gated", "lowrank"]
    config = told.variants[0].config
    assert config["train"]["freeze"] == ["encoders.image"]
    assert config["model"]["encoders"]["image"]["weights"] == "IMAGENET1K_V1"


@pytest.mark.usefixtures("unloaded_after")
@pytest.mark.parametrize("time", ["once", "and again"])
def test_every_test_loads_the_examples_anew(time: str) -> None:
    load_plugins([EXAMPLES / "my_net.py"])
    assert registration("model", "my_net") is not None, time


@pytest.mark.usefixtures("unloaded_after")
def test_what_was_kept_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value: dict[str, Any] = yaml.safe_load((EXAMPLES / "my_net.yaml").read_text())
    value |= {"seeds": 1, "timing": "off", "dataset": {"name": "glyphs", "limit": 100}}
    value["train"] |= yaml.safe_load(blocks(GUIDE, "yaml")[2])["train"] | {"epochs": 1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "mine.yaml", "--plugin", str(EXAMPLES / "my_net.py"), "-q"]) == 0
    names: dict[str, Any] = {}
    exec(blocks(GUIDE, "python")[-1], names)
    assert not names["model"].training
    assert 0 < len(names["wrong"]) <= len(names["told"])
