from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.model import build_model, resolve_model
from mtmm.settings import Problem
from mtmm.sharing import SHARINGS
from mtmm.sizes import encoder_size, model_size
from mtmm.spec import DataBundle, Modality

IMAGE = Modality(name="image", kind="image", shape=(1, 28, 28))


@pytest.mark.parametrize("sharing", sorted(SHARINGS))
@pytest.mark.parametrize("fusion", sorted(set(FUSIONS) - {"none"}))
def test_the_size_of_a_model_is_that_of_the_built_one(
    bundle: DataBundle, sharing: str, fusion: str
) -> None:
    given = {"encoders": {"image": "lenet", "text": "lstm"}, "fusion": fusion, "sharing": sharing}
    problems: list[Problem] = []
    config = resolve_model(given, bundle, (), problems)
    assert not problems
    built = sum(parameter.numel() for parameter in build_model(config, bundle).parameters())
    assert model_size(config, bundle) == built


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_the_size_of_an_encoder_is_that_of_the_built_one(bundle: DataBundle, name: str) -> None:
    (modality, *_) = (m for m in bundle.modalities if m.kind in ENCODERS[name].kinds)
    make: Any = ENCODERS[name]
    built = make(modality, 16)
    expected = (built.dim, sum(parameter.numel() for parameter in built.parameters()))
    assert encoder_size({"name": name}, modality, 16) == expected


def test_settings_count(bundle: DataBundle) -> None:
    small, large = (
        encoder_size({"name": "lenet", "channels": channels}, IMAGE, 16) for channels in (2, 4)
    )
    assert small < large


def test_an_input_that_is_too_small_is_told_with_its_stage() -> None:
    tiny = replace(IMAGE, shape=(1, 3, 28))
    with pytest.raises(ValueError, match=r"encoder 'lenet' does not fit image: stage 'conv2' wou"):
        encoder_size({"name": "lenet", "channels": 4}, tiny, 16)


def test_an_absurd_size_is_told_and_nothing_is_allocated() -> None:
    with pytest.raises(ValueError, match="encoder 'lenet' does not fit image: "):
        encoder_size({"name": "lenet", "channels": 2**40}, IMAGE, 16)
    assert torch.get_default_device() == torch.device("cpu")
