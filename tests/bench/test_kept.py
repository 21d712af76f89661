"""`train.keep`: what is kept is the model that the record tells of, whatever shares what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bench
from bench.api import plan
from bench.errors import InputError
from bench.evaluation import evaluate
from bench.store import Store
from mtmm import register
from mtmm.encoders.base import Encoder, Plain
from mtmm.heads.judging import objectives
from mtmm.spec import DataBundle, Modality

KEEP = {"train.keep": ["weights", "predictions"]}


def run(suite: dict[str, Any], folder: Path, **settings: Any) -> Any:
    return bench.run(suite, results=folder, workers=0, settings=settings)


class Normed(Encoder):
    """Two convolutions with BatchNorm: what it keeps is more than parameters."""

    kinds = frozenset({"image"})
    map_stage = "conv2"

    def __init__(self, modality: Modality, width: int) -> None:
        channels, side, _ = modality.shape
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        stages = {
            "conv1": Plain(_normed(channels, 4), (4, side // 2, side // 2)),
            "conv2": Plain(_normed(4, width), (width, side // 4, side // 4)),
            "pool": Plain(pool, (width,)),
        }
        super().__init__(stages)


def _normed(channels: int, made: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, made, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(made), nn.ReLU(), nn.MaxPool2d(2))


@pytest.mark.usefixtures("unloaded_after")
@pytest.mark.parametrize("encoder", ["lenet", "normed"])
def test_a_loaded_model_scores_what_the_record_says(
    encoder: str, suite: dict[str, Any], bundle: DataBundle, tmp_path: Path
) -> None:
    register("encoder", "normed")(Normed)
    suite["model"]["encoders"]["image"] = encoder
    suite |= {"sweep": [{"sharing": ["hard", "separate", "branch", "mtan"]}], "seeds": [3]}
    frame = run(suite, tmp_path, **KEEP, **{"train.epochs": 4})
    judged = objectives(bundle.tasks)
    for row in frame.to_dict("records"):
        model = bench.load_model(tmp_path / "small", variant=row["variant"], seed=3)
        assert not model.training
        for task, measured in evaluate(model, judged, bundle.test).items():
            for metric, value in measured.items():
                assert value == pytest.approx(row[f"test.{task}.{metric}"], rel=1e-5), row
    chosen = frame.set_index("variant").filter(like="train.epoch.")
    assert chosen.loc["separate"].nunique() > 1  # weights of two epochs are kept as one model


def test_predictions_are_those_of_the_loaded_model(
    suite: dict[str, Any], bundle: DataBundle, tmp_path: Path
) -> None:
    frame = run(suite, tmp_path, **KEEP)
    for variant in ("hard", "separate"):
        told = bench.load_predictions(tmp_path / "small", variant=variant, seed=1)
        model = bench.load_model(tmp_path / "small", variant=variant, seed=1)
        assert isinstance(bundle.test.targets, dict)
        batch = bundle.test.take(torch.arange(len(bundle.test)))
        with torch.inference_mode():
            outputs = model(batch.inputs, batch.present).outputs
        (row,) = frame[(frame["variant"] == variant) & (frame["seed"] == 1)].to_dict("records")
        for task, output in outputs.items():
            kept = torch.from_numpy(told.filter(like=f"{task}.output.").to_numpy().copy())
            torch.testing.assert_close(kept, output, check_dtype=False)
            right = kept.argmax(1) == torch.tensor(told[f"{task}.target"])
            assert float(right.double().mean()) == pytest.approx(row[f"test.{task}.accuracy"])


def test_keeping_changes_no_number_and_no_identity(suite: dict[str, Any], tmp_path: Path) -> None:
    plain = plan(suite).cells("cpu")
    asked = plan(suite, settings=KEEP).cells("cpu")
    assert [cell.id for cell in asked.values()] == [cell.id for cell in plain.values()]
    before = run(suite, tmp_path / "plain")
    after = run(suite, tmp_path / "kept", **KEEP)
    assert not (tmp_path / "plain" / "kept").exists()
    same = [c for c in before if not c.startswith("config.") and c != "train.seconds"]
    assert before[same].equals(after[same])


def test_asked_for_later_cells_run_again_once(suite: dict[str, Any], tmp_path: Path) -> None:
    first = run(suite, tmp_path)
    with pytest.raises(InputError, match=r"set `train.keep: \[weights\]` and run the suite again"):
        bench.load_model(tmp_path / "small", variant="hard", seed=0)
    with pytest.raises(InputError, match="no predictions of 'hard' with seed 0 were kept"):
        bench.load_predictions(tmp_path / "small", variant="hard", seed=0)
    again = run(suite, tmp_path, **KEEP)
    assert first["test.score"].equals(again["test.score"])
    store = Store(tmp_path)
    stamps = {cell.id: store.stamp(cell.id) for cell in plan(suite).cells("cpu").values()}
    run(suite, tmp_path, **KEEP)
    assert {identity: store.stamp(identity) for identity in stamps} == stamps
    one = next(iter(stamps))
    (tmp_path / "kept" / f"{one}.weights.pt").unlink()
    run(suite, tmp_path, **KEEP)
    changed = {i for i, stamp in stamps.items() if store.stamp(i) != stamp}
    assert changed == {one}


def test_in_processes_of_their_own(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "sweep": []}
    bench.run(suite, results=tmp_path, workers=1, settings=KEEP)
    assert len(list((tmp_path / "kept").glob("*.pt"))) == 2
    bench.load_model(tmp_path / "small", variant="base", seed=0)


def test_what_is_not_there_is_said(suite: dict[str, Any], tmp_path: Path) -> None:
    run(suite | {"seeds": 1}, tmp_path, **KEEP)
    folder = tmp_path / "small"
    with pytest.raises(InputError, match="found the word 'hart'; did you mean 'hard'"):
        bench.load_model(folder, variant="hart", seed=0)
    with pytest.raises(
        InputError, match="`seed` must be one of 0, which 'hard' has; found the whole number 3"
    ):
        bench.load_model(folder, variant="hard", seed=3)
    with pytest.raises(InputError, match="no results of a suite here"):
        bench.load_model(tmp_path / "other", variant="hard", seed=0)
    (file,) = (tmp_path / "kept").glob(f"{cell_of(suite, 'hard')}.weights.pt")
    torch.save({"w": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="not the weights of this code's 'hard'"):
        bench.load_model(folder, variant="hard", seed=0)


def cell_of(suite: dict[str, Any], variant: str) -> str:
    return plan(suite).cells("cpu")[variant, 0].id


def test_a_disk_that_is_full_fails_the_cell_and_says_so(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("no folder")
    frame = run(suite | {"seeds": 1, "sweep": []}, tmp_path, **KEEP)
    assert set(frame["status"]) == {"error"}
    assert "kept" in frame["reason"][0]
