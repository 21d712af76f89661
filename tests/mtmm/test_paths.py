from __future__ import annotations

import torch

from mtmm.encoders.lenet import LeNet
from mtmm.encoders.lstm import LSTM
from mtmm.fusion.sum import Sum
from mtmm.paths import Path, visible
from mtmm.spec import Batch, Description, Modality


def test_an_absent_input_is_0_whatever_it_held() -> None:
    x = torch.tensor([[1.0, 2.0], [torch.nan, torch.inf]])
    seen, mask = visible(
        x, Modality(name="v", kind="vector", shape=(2,)), torch.tensor([True, False])
    )
    assert seen.tolist() == [[1, 2], [0, 0]]
    assert mask is None


def test_an_absent_image_is_0() -> None:
    image = Modality(name="i", kind="image", shape=(1, 2, 2))
    seen, mask = visible(torch.ones(2, 1, 2, 2), image, torch.tensor([False, True]))
    assert seen.sum((1, 2, 3)).tolist() == [0, 4]
    assert mask is None


def test_an_absent_text_is_padding_and_its_mask_is_empty() -> None:
    text = Modality(name="t", kind="text", shape=(3,), vocabulary=9, pad_id=7)
    x = torch.tensor([[1, 0, 7], [1, 2, 10_000]])
    seen, mask = visible(x, text, torch.tensor([True, False]))
    assert seen.tolist() == [[1, 0, 7], [7, 7, 7]]
    assert mask is not None
    assert mask.tolist() == [[True, True, False], [False, False, False]]


def test_a_path_fuses_what_its_encoders_make(description: Description, batch: Batch) -> None:
    image, text = description.modalities
    encoders = LeNet(image, 5, channels=2), LSTM(text, 5)
    fusion = Sum({"image": 5, "text": 5}, 6)
    path = Path((image, text), encoders, fusion)
    everything = {name: torch.ones(8, dtype=torch.bool) for name in batch.present}
    x = batch.inputs["text"]
    vectors = {
        "image": encoders[0](batch.inputs["image"]).vector,
        "text": encoders[1](x, x != 0).vector,
    }
    torch.testing.assert_close(path(batch.inputs, everything).vector, fusion(vectors))
    torch.testing.assert_close(
        path(batch.inputs, batch.present).vector, fusion(vectors, batch.present)
    )
