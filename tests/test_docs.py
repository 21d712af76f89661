"""What the README and the docs show is run here, in cheap forms."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from bench.api import plan
from bench.cli import main, parser
from bench.document import parse
from bench.errors import InputError
from bench.report import VERDICTS
from bench.report.frame import load_frame
from mtmm.data.tables.spec import INPUTS, TASKS
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion, linear
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS
from tests.tables import write_glyphs

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference" / "default" / "report.md"


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [code for name, code in fenced if name == language]


def cheap(suite: dict[str, Any]) -> dict[str, Any]:
    """The same suite on little data."""
    train = {**suite["train"], "epochs": 1, "batch_size": 32}
    dataset = {**suite["dataset"], "limit": 120}
    return {**suite, "dataset": dataset, "train": train, "seeds": 1, "timing": "off"}


def test_the_readme_suite_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks(README, "yaml")
    assert len(plan(parse(text, "README.md").value).variants) == 12
    (tmp_path / "my-suite.yaml").write_text(yaml.safe_dump(cheap(parse(text, "README.md").value)))
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(README, "python")
    # As a script without a main guard, and with timing, which takes a process of its own.
    timed = cheap(parse(text, "README.md").value) | {"sweep": [], "timing": {"budget_s": 0.1}}
    (tmp_path / "timed.yaml").write_text(yaml.safe_dump(timed))
    script = code.replace("my-suite.yaml", "timed.yaml") + "assert set(frame.status) == {'ok'}\n"
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "script.py"], check=True, env=paths)
    assert main(["plan", "my-suite.yaml"]) == 0
    assert main(["run", "my-suite.yaml", "-q"]) == 0


def test_the_readme_commands_exist() -> None:
    lines = [line for block in blocks(README, "") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0].endswith("mtmm-bench"):
            parser().parse_args(words[1:])
        else:
            assert words[0] == "make"
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert words[1] in targets


def test_the_readme_table_is_that_of_the_reference_report() -> None:
    shown = README.partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0].strip()
    assert shown
    assert shown in REFERENCE.read_text(encoding="utf-8")


def test_the_guide_to_comparing_runs(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for block in blocks(text, "") for line in block.splitlines()]
    for run in ("before", "after"):
        shutil.copytree(finished.parent, tmp_path / run)
        (tmp_path / run / "small").rename(tmp_path / run / "default")
    monkeypatch.chdir(tmp_path)
    for name, command, *options in commands:
        assert name == "mtmm-bench"
        parser().parse_args([command, *options])
        if command == "compare":
            assert main([command, *options]) == 0
    (code,) = blocks(text, "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(names["found"].times) == 4
    for word in {*VERDICTS, "same", "not distinguishable"}:
        assert f"`{word}`" in text


def test_the_guide_to_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    shown, *_ = blocks(text, "")
    table = write_glyphs(tmp_path).read_text(encoding="utf-8")
    assert shown.splitlines()[0] == table.splitlines()[0]
    (suite,) = blocks(text, "yaml")
    (tmp_path / "mine.yaml").write_text(suite, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runs, records = blocks(text, "python")
    names: dict[str, Any] = {}
    exec(runs, names)
    assert set(names["frame"]["status"]) == {"ok"}
    assert set(names["frame"]["variant"]) == {"hard", "separate"}
    exec(records, names)
    assert len(names["frame"]) == 6
    assert main(["report", "results/my-loop"]) == 0
    for kind in (*INPUTS, *TASKS):
        assert f"| `{kind}` |" in text


def test_the_guide_to_weightings() -> None:
    text = (ROOT / "docs" / "weighting.md").read_text(encoding="utf-8")
    (suite,) = blocks(text, "yaml")
    planned = plan(parse(suite, "weighting.md").value)
    assert len(planned.variants) == 9
    (code,) = blocks(text, "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["weights"].shape == (2,)
    listed = set(
        re.findall(r"`(\w+)`", text[text.index("## What there is") : text.index("## How")])
    )
    assert set(WEIGHTINGS) <= listed


def test_the_guide_to_sharing() -> None:
    text = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
    (suite,) = blocks(text, "yaml")
    assert len(plan(parse(suite, "sharing.md").value).variants) == 8
    for name, sharing in SHARINGS.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        told = row.split("|")[3]
        assert all(space in told for space in sharing.spaces or {"none"}), name


@pytest.mark.usefixtures("unloaded_after")
def test_the_guide_to_fusions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "fusion.md").read_text(encoding="utf-8")
    (suite,) = blocks(text, "yaml")
    value = parse(suite, "fusion.md").value
    planned = plan(value)
    names = [variant.name for variant in planned.variants]
    assert len(names) == 10  # film of the baseline's size is film
    assert "concat" in names
    (tmp_path / "my-fusions.yaml").write_text(yaml.safe_dump(value))
    options = ["--smoke", "--set", "timing=off", "--results", str(tmp_path / "results"), "-q"]
    assert main(["run", str(tmp_path / "my-fusions.yaml"), *options]) == 0
    (code,) = blocks(text, "python")
    (tmp_path / "my_fusion.py").write_text(code)
    assert main(["check", "--plugin", str(tmp_path / "my_fusion.py")]) == 0
    assert "fusion 'sorted': conforms" in capsys.readouterr().out
    (command,) = (line for block in blocks(text, "") for line in block.splitlines())
    parser().parse_args(shlex.split(command)[1:])
    listed = text[text.index("## What there is") : text.index("## At equal size")]
    assert set(FUSIONS) - {"sorted"} <= set(re.findall(r"`(\w+)`", listed))


def test_the_columns_of_robustness_are_explained() -> None:
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    for name in ("robust.<condition>.score", "robust.<condition>.<task>.<metric>"):
        assert f"`{name}`" in text
    assert "`shapley.<modality>`" in text


def test_the_links_in_the_docs_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("suites/*.md")]
    for page in [*pages, ROOT / "results" / "README.md"]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("https://") or (page.parent / link).exists(), (page, link)


def test_every_column_of_a_frame_is_explained(finished: Path) -> None:
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    short = (
        (r"^config\..*", "config.<path>"),
        (r"^train\.(epoch|weight|gradient_norm)\..*", r"train.\1.<task>"),
        (r"^train\.gradient_cosine\..*", "train.gradient_cosine.<a>.<b>"),
        (r"^(val|test)\.\w+\.(\w+)$", r"….\2"),
        (r"^time\.[a-z_]+?_(lo_ms|hi_ms|min_ms|iqr_share)$", r"_\1"),
        (r"^time\.[a-z_]+?_outliers_(mild|severe)$", "_outliers_*"),
        (r"^peak_mib\..*", "peak_mib.<phase>"),
        (r"^flops\.\w+$", "flops.<phase>"),
        (r"^flops\..*\.(forward|backward)$", r"flops.<part>.\1"),
    )
    for column in load_frame(finished).columns:
        name = column
        for pattern, replacement in short:
            name = re.sub(pattern, replacement, name)
        assert f"`{name}`" in text or f"{name}`" in text, column


def test_the_fusion_in_contributing_works() -> None:
    (code,) = blocks((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "python")
    names: dict[str, Any] = {
        "Fusion": Fusion,
        "Mapping": Mapping,
        "linear": linear,
        "nn": nn,
        "torch": torch,
    }
    exec(code, names)
    fusion = names["Maximum"]({"image": 3, "text": 2}, 4)
    fused = fusion({"image": torch.ones(5, 3), "text": torch.ones(5, 2)})
    assert fused.shape == (5, 4)
    count = sum(parameter.numel() for parameter in fusion.parameters())
    assert count == fusion.parameter_count({"image": 3, "text": 2}, 4)


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_suite_plans_and_runs_with_smoke(path: Path, tmp_path: Path) -> None:
    try:
        plan(path)
    except InputError as error:
        # Data that no package brings are fetched by whoever wants them.
        if not re.search("`make data[` ]", str(error)):
            raise
        pytest.skip(f"its data are not there: {error}")
    results = tmp_path / "results"
    options = ["--smoke", "--set", "timing=off", "--results", str(results), "-q"]
    assert main(["run", str(path), *options]) == 0
    assert (results / f"{path.stem}-smoke" / "report.md").exists()


def test_the_suite_of_the_guide_runs_with_smoke(tmp_path: Path) -> None:
    (text,) = blocks((ROOT / "docs" / "suites.md").read_text(encoding="utf-8"), "yaml")
    suite = tmp_path / "guide.yaml"
    suite.write_text(text, encoding="utf-8")
    assert len(plan(suite).variants) == 20
    options = ["--smoke", "--set", "timing=off", "--results", str(tmp_path / "results"), "-q"]
    assert main(["run", str(suite), *options]) == 0
