from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import checkpoint as checkpoints
from bench.cell import TrainCell
from bench.checkpoint import Checkpoint
from bench.training import train
from mtmm.spec import DataBundle

CPU = torch.device("cpu")


class KilledError(BaseException):
    """Stands for a kill: nothing that handles exceptions may see it."""


def rich(config: dict[str, Any], **model: Any) -> dict[str, Any]:
    """Everything that has a state: dropout, momentum, a schedule, learned weights, selection."""
    config = copy.deepcopy(config)
    config["model"] |= model
    config["train"] |= {
        "epochs": 5,
        "checkpoint": 0.0,
        "warmup": 1.5,
        "schedule": {"name": "cosine", "final": 0.0},
        "patience": 3,
    }
    config["model"]["encoders"]["text"]["layers"] = 2
    return config


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "seconds"}


@pytest.mark.parametrize("sharing", ["hard", "separate"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_cell_goes_on_bit_for_bit(
    config: dict[str, Any],
    bundle: DataBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sharing: str,
    epoch: int,
) -> None:
    config = rich(config, sharing={"name": sharing})
    if sharing == "hard":
        config["weighting"] = {"name": "uncertainty", "initial": 0.0, "learning_rate": 0.025}
    whole = train(config, bundle, seed=3, device=CPU)
    file = tmp_path / "kept" / "cell.pt"
    save = Checkpoint.save_if_due

    def save_and_die(self: Checkpoint, state: checkpoints.TrainingState) -> None:
        save(self, state)
        if len(state.progress.curve) == epoch:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save_if_due", save_and_die)
        with pytest.raises(KilledError):
            train(config, bundle, seed=3, device=CPU, checkpoint=file)
    assert file.exists()
    epochs: list[int] = []
    evaluate = checkpoints.TrainingState.restore

    def note(self: checkpoints.TrainingState, kept: dict[str, Any]) -> None:
        evaluate(self, kept)
        epochs.append(len(self.progress.curve))

    monkeypatch.setattr(checkpoints.TrainingState, "restore", note)
    resumed = train(config, bundle, seed=3, device=CPU, checkpoint=file)
    assert epochs == [epoch]
    assert timeless(resumed) == timeless(whole)
    assert list(file.parent.iterdir()) == []


def test_a_file_that_cannot_be_read_starts_anew(
    config: dict[str, Any], bundle: DataBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = rich(config)
    file = tmp_path / "cell.pt"
    file.write_bytes(b"\x80nonsense")
    result = train(config, bundle, seed=3, device=CPU, checkpoint=file)
    assert "cannot be read or does not fit, training starts anew" in capsys.readouterr().out
    assert timeless(result) == timeless(train(config, bundle, seed=3, device=CPU))


def test_without_the_setting_nothing_is_kept(
    config: dict[str, Any], bundle: DataBundle, tmp_path: Path
) -> None:
    train(config, bundle, seed=3, device=CPU, checkpoint=tmp_path / "cell.pt")
    assert list(tmp_path.iterdir()) == []


def test_it_is_no_part_of_the_identity(config: dict[str, Any]) -> None:
    often = {**config, "train": {**config["train"], "checkpoint": 1.0}}
    assert TrainCell(config, 0, "d", "cpu").id == TrainCell(often, 0, "d", "cpu").id


@pytest.mark.parametrize("foreign", ["nothing in common", "another size", "no progress"])
def test_a_file_that_does_not_fit_starts_anew_with_nothing_of_it(
    config: dict[str, Any],
    bundle: DataBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    foreign: str,
) -> None:
    config, file = rich(config), tmp_path / "cell.pt"
    whole = timeless(train(config, bundle, seed=3, device=CPU))
    other = config if foreign == "no progress" else rich(config, width=2 * config["model"]["width"])
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "remove", lambda self: None)
        train(other, bundle, seed=4, device=CPU, checkpoint=file)
    kept = torch.load(file, weights_only=True)
    if foreign == "nothing in common":
        kept = {"foreign": 1}
    if foreign == "no progress":
        kept["progress"]["selections"] = [{"none": 1}]
    torch.save(kept, file)
    assert timeless(train(config, bundle, seed=3, device=CPU, checkpoint=file)) == whole
    assert "does not fit, training starts anew" in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError("No space left"), RuntimeError("unexpected pos 64")])
def test_a_file_that_cannot_be_written_does_not_end_training(
    config: dict[str, Any],
    bundle: DataBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def full(state: object, path: Path) -> None:
        path.write_text("half of it")
        raise error

    config = rich(config)
    whole = timeless(train(config, bundle, seed=3, device=CPU))
    monkeypatch.setattr(torch, "save", full)
    kept = train(config, bundle, seed=3, device=CPU, checkpoint=tmp_path / "kept" / "cell.pt")
    assert timeless(kept) == whole
    assert "cannot be written, training goes on" in capsys.readouterr().out
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_a_kill_amid_writing_leaves_is_replaced(
    config: dict[str, Any], bundle: DataBundle, tmp_path: Path
) -> None:
    (tmp_path / "cell.partial").write_text("half of it")
    train(rich(config), bundle, seed=3, device=CPU, checkpoint=tmp_path / "cell.pt")
    assert list(tmp_path.iterdir()) == []
