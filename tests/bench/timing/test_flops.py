from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.timing.flops import count_flops

B, S, D, H = 4, 10, 8, 16

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]
on_every_device = pytest.mark.parametrize("device", DEVICES)


def _train(module: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    return lambda: torch.autograd.backward(module(x).sum())


def _infer(module: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            module(x)

    return run


@on_every_device
def test_linear(device: str) -> None:
    model, x = nn.Linear(D, H, device=device), torch.randn(B, D, device=device)
    forward = 2 * B * D * H
    assert count_flops(lambda: model(x)) == forward
    assert count_flops(_infer(model, x)) == forward
    # The gradient of the weight is one product more, that of the input another.
    assert count_flops(_train(model, x)) == 2 * forward
    assert count_flops(_train(model, x.requires_grad_())) == 3 * forward


@on_every_device
def test_convolution(device: str) -> None:
    model = nn.Conv2d(3, 5, kernel_size=3, padding=1, device=device)
    x = torch.randn(2, 3, 8, 8, device=device)
    forward = 2 * (2 * 8 * 8) * 5 * (3 * 3 * 3)
    assert count_flops(_infer(model, x)) == forward
    assert count_flops(_train(model, x)) == 2 * forward
    assert count_flops(_train(model, x.requires_grad_())) == 3 * forward


@on_every_device
@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_layers(kind: type[nn.LSTM | nn.GRU], gates: int, device: str) -> None:
    recurrent = kind(D, H, num_layers=2, batch_first=True, device=device)
    x = torch.randn(B, S, D, device=device)

    def model(x: Tensor) -> Tensor:
        output: Tensor = recurrent(x)[0]
        return output

    def product(inputs: int, steps: int = S) -> int:
        return 2 * B * steps * gates * H * inputs

    forward = product(D) + product(H) + 2 * product(H)
    assert count_flops(_infer(model, x)) == forward
    # Backward is twice that, but for the gradients nobody asks for: of the input, and of the
    # initial state of both layers.
    unasked = product(D) + 2 * product(H, steps=1)
    assert count_flops(_train(model, x)) == 3 * forward - unasked


@on_every_device
def test_attention(device: str) -> None:
    heads = 2
    query, key, value = (torch.randn(B, heads, n, D, device=device) for n in (5, 7, 7))
    forward = 2 * (2 * B * heads * 5 * 7 * D)
    assert count_flops(lambda: F.scaled_dot_product_attention(query, key, value)) == forward
    for tensor in (query, key, value):
        tensor.requires_grad_()
    attend = F.scaled_dot_product_attention
    backward = torch.autograd.backward
    assert count_flops(lambda: backward(attend(query, key, value).sum())) == 3 * forward


@on_every_device
def test_transformer_layer_costs_the_same_in_inference(device: str) -> None:
    layer = nn.TransformerEncoderLayer(H, 2, 2 * H, batch_first=True, device=device).eval()
    x = torch.randn(B, S, H, device=device)
    projections = 2 * B * S * H * (3 * H + H)
    attention = 2 * (2 * B * S * S * H)
    feedforward = 2 * (2 * B * S * H * 2 * H)
    expected = projections + attention + feedforward
    assert count_flops(lambda: layer(x)) == expected
    assert count_flops(_infer(layer, x)) == expected


def test_elementwise_work_does_not_count() -> None:
    x = torch.randn(B, D)
    assert count_flops(lambda: F.layer_norm(x.relu() + 1, (D,)).sum()) == 0


def test_the_switches_are_back_after_a_failure() -> None:
    mkldnn, cudnn = torch.backends.mkldnn, torch.backends.cudnn

    def fail() -> None:
        assert (bool(mkldnn.enabled), cudnn.enabled) == (False, False)
        raise RuntimeError("broken model")

    before = (mkldnn.enabled, cudnn.enabled, torch.backends.mha.get_fastpath_enabled())
    with pytest.raises(RuntimeError, match="broken model"):
        count_flops(fail)
    assert (mkldnn.enabled, cudnn.enabled, torch.backends.mha.get_fastpath_enabled()) == before
