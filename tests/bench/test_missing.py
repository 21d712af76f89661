from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.loading import batches
from bench.missing import dropping, only, thinned
from mtmm.seeding import generator
from mtmm.spec import DataBundle, in_memory


def _random(seed: int = 0) -> torch.Generator:
    return generator(seed, "test")


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_one_modality_always_stays_and_the_rate_is_kept(rate: float) -> None:
    present = {name: torch.ones(50_000, dtype=torch.bool) for name in "ab"}
    kept = torch.stack(list(thinned(present, rate, _random()).values()))
    assert kept.any(0).all()
    # Both would go with rate²: one of them, either as likely, stays.
    expected = 1 - rate + rate * rate / 2
    assert kept[0].double().mean().item() == pytest.approx(expected, abs=0.01)
    assert kept[1].double().mean().item() == pytest.approx(expected, abs=0.01)


def test_what_was_absent_stays_absent() -> None:
    present = {"a": torch.tensor([True, False, False]), "b": torch.tensor([True, True, False])}
    for seed in range(50):
        kept = thinned(present, 0.9, _random(seed))
        assert not (kept["a"] & ~present["a"]).any()
        assert not (kept["b"] & ~present["b"]).any()
        assert kept["b"][1]
        assert not kept["a"][2]


def test_only_keeps_what_is_named() -> None:
    present = {"a": torch.tensor([True, False]), "b": torch.tensor([True, True])}
    assert {name: there.tolist() for name, there in only(present, ["a"]).items()} == {
        "a": [True, False],
        "b": [False, False],
    }


def test_dropping_changes_presence_alone_and_repeats(bundle: DataBundle) -> None:
    def epoch(rate: float, number: int = 0) -> list[dict[str, torch.Tensor]]:
        plain = batches(bundle.train, 32, generator(0, "order"))
        return [dict(batch.present) for batch in dropping(plain, rate, 7, number)]

    plain = list(batches(bundle.train, 32, generator(0, "order")))
    dropped = list(dropping(plain, 0.5, 7, 0))
    for before, after in zip(plain, dropped, strict=True):
        assert replace(after, present=before.present) == before
        assert any((after.present[name] != before.present[name]).any() for name in before.present)
    for first, again, other in zip(epoch(0.5), epoch(0.5), epoch(0.5, 1), strict=True):
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)
    assert list(dropping(plain, 0.0, 7, 0)) == plain
    assert in_memory(bundle.train).present["image"].all()
