from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main

SOUND = '''
import torch
from mtmm import register
from mtmm.fusion.base import Fusion, linear

@register("fusion", "mine")
class Mine(Fusion):
    """Concatenation."""

    def __init__(self, dims, out_dim):
        super().__init__(dims, out_dim)
        self.projection = linear(sum(dims.values()), out_dim)

    def forward(self, features, present=None):
        return self.projection(torch.cat(self.masked(features, present), dim=1))
'''
BATCH_MIXING = SOUND.replace("dim=1))", "dim=1)).softmax(0)")
IGNORES_THE_MASK = SOUND.replace(
    "self.masked(features, present)", "[features[name] for name in self.dims]"
)


@pytest.mark.usefixtures("unloaded_after")
def test_a_sound_fusion_conforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(SOUND)
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 0
    out = capsys.readouterr().out
    assert out == "fusion 'mine': conforms (18 invariants, 2 and 3 modalities)\n"


@pytest.mark.usefixtures("unloaded_after")
@pytest.mark.parametrize(
    ("code", "invariant"),
    [(BATCH_MIXING, "batch_independence"), (IGNORES_THE_MASK, "absent_content")],
)
def test_what_is_broken_is_named(
    code: str, invariant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(code)
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 1
    assert f"fusion 'mine' breaks `{invariant}`: " in capsys.readouterr().out


@pytest.mark.usefixtures("unloaded_after")
def test_dropout_is_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = SOUND.replace(
        "self.projection(", "torch.nn.functional.dropout(self.projection("
    ).replace("dim=1))", "dim=1)), 0.5, self.training)")
    (tmp_path / "mine.py").write_text(code)
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 0, capsys.readouterr().out


@pytest.mark.usefixtures("unloaded_after")
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise SystemExit('bye')", "breaks `output_shape`: raised "),
        ("return {}[0]", "breaks `output_shape`: raised KeyError"),
    ],
)
def test_whatever_a_fusion_raises_is_told(
    body: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = SOUND.partition("        return self.projection")[0] + f"        {body}\n"
    (tmp_path / "mine.py").write_text(code)
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 1
    assert told in capsys.readouterr().out


@pytest.mark.usefixtures("unloaded_after")
def test_a_check_of_ones_own_gets_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = SOUND.replace(
        "def __init__(self, dims, out_dim):",
        "def __init__(self, dims, out_dim, *, groups: int = 2):",
    )
    code += """
    @classmethod
    def check(cls, modalities, settings):
        super().check(modalities, settings)
        if settings and len(modalities) > settings["groups"]:
            raise ValueError("too many")
"""
    (tmp_path / "mine.py").write_text(code)
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 0
    assert "(18 invariants, 2 modalities)" in capsys.readouterr().out


@pytest.mark.usefixtures("unloaded_after")
def test_a_plugin_that_cannot_be_loaded_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\n")
    assert main(["check", "--plugin", str(tmp_path / "mine.py")]) == 2
    assert "mine.py:1: ModuleNotFoundError" in capsys.readouterr().err
