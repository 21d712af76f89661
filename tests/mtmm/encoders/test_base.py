"""What every encoder must do, whatever it reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder, Stage
from mtmm.spec import Modality

WIDTH = 6


@dataclass(frozen=True, kw_only=True)
class Case:
    encoder: str
    shape: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.encoder, "x".join(map(str, self.shape)), *map(str, self.settings)])

    @property
    def modality(self) -> Modality:
        if self.encoder in ("identity", "mlp"):
            return Modality(name="m", kind="vector", shape=self.shape)
        if len(self.shape) == 1:
            return Modality(name="m", kind="text", shape=self.shape, vocabulary=11)
        return Modality(name="m", kind="image", shape=self.shape)

    def build(self) -> Encoder:
        torch.manual_seed(0)
        make: Callable[..., Encoder] = ENCODERS[self.encoder]
        return make(self.modality, WIDTH, **self.settings)

    def sample(self, size: int) -> tuple[Tensor, Tensor | None]:
        generator = torch.Generator().manual_seed(1)
        if self.modality.kind != "text":
            return torch.randn(size, *self.shape, generator=generator), None
        x = torch.randint(1, 11, (size, *self.shape), generator=generator)
        length = 1 + torch.arange(size) % self.shape[0]
        x = torch.where(torch.arange(self.shape[0]) < length[:, None], x, 0)
        return x, x != 0


CASES = [
    *(
        Case(encoder=name, shape=shape, settings={"channels": 3})
        for name in ("article_cnn", "lenet")
        for shape in [(1, 8, 8), (3, 13, 10), (2, 7, 9), (1, 28, 28)]
    ),
    *(
        Case(encoder="resnet18", shape=shape, settings={"stem": stem})
        for stem in ("small", "imagenet")
        for shape in [(3, 32, 32), (1, 33, 41)]
    ),
    Case(encoder="multi_lenet", shape=(1, 28, 28)),
    Case(encoder="multi_lenet", shape=(3, 16, 21)),
    Case(encoder="lstm", shape=(5,)),
    Case(encoder="lstm", shape=(1,), settings={"embedding": 3}),
    Case(encoder="lstm", shape=(7,), settings={"hidden": 4, "layers": 2}),
    Case(encoder="gru", shape=(5,)),
    Case(encoder="gru", shape=(7,), settings={"hidden": 4, "layers": 2}),
    Case(encoder="bag", shape=(5,)),
    Case(encoder="bag", shape=(1,), settings={"embedding": 3}),
    Case(encoder="transformer", shape=(5,), settings={"heads": 2}),
    Case(encoder="transformer", shape=(3,), settings={"dim": 8, "layers": 1}),
    Case(encoder="vit_small", shape=(1, 8, 8), settings={"heads": 3, "layers": 2}),
    Case(encoder="vit_small", shape=(3, 6, 9), settings={"patch": 3, "dim": 8}),
    Case(encoder="torchvision", shape=(3, 33, 40), settings={"model": "resnet18"}),
    Case(encoder="torchvision", shape=(1, 32, 32), settings={"model": "mobilenet_v3_small"}),
    Case(encoder="torchvision", shape=(1, 8, 8), settings={"model": "resnet18", "size": 32}),
    *(
        Case(encoder="timm", shape=shape, settings={"model": model})
        for model, shape in [("mobilenetv3_small_050", (3, 64, 72)), ("test_vit", (1, 160, 160))]
        if find_spec("timm")
    ),
    Case(encoder="identity", shape=(4,)),
    Case(encoder="mlp", shape=(4,)),
    Case(encoder="mlp", shape=(1,), settings={"layers": 3, "hidden": 5}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_encoder_is_covered() -> None:
    there = set(ENCODERS) if find_spec("timm") else set(ENCODERS) - {"timm"}
    assert {case.encoder for case in CASES} == there


@every_case
def test_every_stage_makes_the_shape_it_declares(case: Case) -> None:
    encoder = case.build()
    state = case.sample(3)
    for stage in encoder.stages.values():
        state = stage(*state)
        assert state[0].shape[1:] == stage.out_shape
    assert encoder.dim == state[0].shape[1]


@every_case
def test_features_are_those_of_the_named_stages(case: Case) -> None:
    encoder = case.build().eval()
    x, mask = case.sample(2)
    features = encoder(x, mask)
    assert features.vector.shape == (2, encoder.dim)
    if encoder.map_stage is not None:
        stage = cast(Stage, encoder.stages[encoder.map_stage])
        channels, height, rows = stage.out_shape
        assert features.maps is not None
        assert features.maps.shape == (2, channels, height, rows)
        assert features.tokens is not None
        assert features.tokens.shape == (2, height * rows, channels)
        assert torch.equal(features.tokens[1, rows - 1], features.maps[1, :, 0, rows - 1])
        assert features.token_mask is None
    elif encoder.token_stage is not None:
        assert features.maps is None
        assert features.tokens is not None
        stage = cast(Stage, encoder.stages[encoder.token_stage])
        assert features.tokens.shape == (2, *stage.out_shape)
        assert features.token_mask is mask
    else:
        assert not encoder.has_tokens()
        assert features.tokens is features.maps is None


@every_case
def test_without_the_stages_behind_its_tokens_the_tokens_stay(case: Case) -> None:
    encoder, cut = case.build().eval(), case.build().eval()
    cut.end_at_tokens()
    x, mask = case.sample(3)
    whole, rest = encoder(x, mask), cut(x, mask)
    assert list(cut.stages) == encoder.until_tokens()
    assert cut.token_dim == encoder.token_dim == rest.vector.shape[1]
    if encoder.has_tokens():
        assert torch.equal(rest.tokens, whole.tokens)
        assert rest.tokens.shape[2] == cut.token_dim
    else:
        assert torch.equal(rest.vector, whole.vector)


@every_case
def test_a_sample_does_not_depend_on_its_batch(case: Case) -> None:
    encoder = case.build().eval()
    x, mask = case.sample(4)
    together = encoder(x, mask).vector
    for i in range(4):
        alone = encoder(x[i : i + 1], None if mask is None else mask[i : i + 1]).vector
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-4, atol=1e-5)


@every_case
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    encoder = case.build()
    x, mask = case.sample(8)
    out = encoder(x, mask).vector
    if out.requires_grad:  # identity has none
        out.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0 or _never_matters(case, name), name


def _never_matters(case: Case, name: str) -> bool:
    # A recurrence of one step starts from 0, and so never reads its recurrent weights.
    return case.shape == (1,) and "weight_hh" in name


@every_case
def test_eval_repeats_and_a_state_dict_restores(case: Case) -> None:
    encoder = case.build().eval()
    x, mask = case.sample(2)
    other = case.build().eval()
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_state_dict(copy.deepcopy(encoder.state_dict()))
    assert torch.equal(encoder(x, mask).vector, encoder(x, mask).vector)
    assert torch.equal(other(x, mask).vector, encoder(x, mask).vector)
