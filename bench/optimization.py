"""Optimizers and learning-rate schedules by name, and which parts of a model they reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Annotated, Any

import torch
from torch import nn

from mtmm.registry import settings_in
from mtmm.settings import Component, Range, Rate, Weight, listed, nearest

Share = Annotated[float, Range(low=0, below=1)]
Decay = Annotated[float, Range(above=0, high=1)]
Groups = list[dict[str, Any]]
Epochs = float | Fraction
Multiplier = Callable[[Epochs], float]


def adamw(
    groups: Groups,
    *,
    lr: Rate = 1e-3,
    weight_decay: Weight = 0.01,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2))


def adam(
    groups: Groups,
    *,
    lr: Rate = 1e-3,
    weight_decay: Weight = 0.0,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980)."""
    return torch.optim.Adam(groups, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2))


def sgd(
    groups: Groups,
    *,
    lr: Rate = 0.1,
    momentum: Share = 0.9,
    weight_decay: Weight = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        groups, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
    )


OPTIMIZERS: Mapping[str, Component] = {"adam": adam, "adamw": adamw, "sgd": sgd}


def constant(epochs: int) -> Multiplier:
    """The same rate throughout."""
    return lambda done: 1.0


def cosine(epochs: int, *, final: Annotated[float, Range(low=0, high=1)] = 0.0) -> Multiplier:
    """Half a cosine from the rate down to `final` times the rate at the end of `epochs`."""

    def multiplier(done: Epochs) -> float:
        share = min(float(done / epochs), 1.0)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))

    return multiplier


def exponential(epochs: int, *, factor: Decay = 0.95) -> Multiplier:
    """The rate times `factor` for every epoch done, continuously."""
    return lambda done: math.pow(factor, done)


def step(
    epochs: int, *, every: Annotated[int, Range(low=1)] = 1, factor: Decay = 0.1
) -> Multiplier:
    """The rate times `factor` after every `every` epochs, at once."""
    return lambda done: math.pow(factor, math.floor(done / every))


SCHEDULES: Mapping[str, Component] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "step": step,
}
"""`schedule(epochs, **settings)` gives the factor on the rate by the epochs done before a step.

`epochs` is the whole length that is configured, whether or not training ends earlier.
"""


def build_optimizer(
    config: Mapping[str, Any],
    model: nn.Module,
    learned: Groups,
    lr_scale: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer a resolved `optimizer:` stands for; `learned` are groups of a weighting.

    `lr_scale` are factors on the rate by part of the model; where several names reach a
    parameter, the longest counts. Raises ValueError for a part that the model lacks, and where
    nothing is left to train.
    """
    factors = _factors(model, lr_scale or {})
    by_factor: dict[float, list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            by_factor.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    if not by_factor:
        raise ValueError("`freeze` must leave something to train; every parameter is frozen")
    groups: Groups = [
        {"params": parameters, "lr": factor * config["lr"]}
        for factor, parameters in by_factor.items()
    ]
    optimizer: torch.optim.Optimizer = OPTIMIZERS[config["name"]](
        [*groups, *learned], **settings_in(config)
    )
    return optimizer


def build_schedule(
    config: Mapping[str, Any],
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    steps_per_epoch: int,
    warmup: float = 0.0,
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule a resolved `schedule:` stands for; it is stepped after every step.

    Over the first `warmup` epochs, n steps, its rate is multiplied by 1/n, 2/n, ..., 1.
    """
    multiplier = SCHEDULES[config["name"]](epochs, **settings_in(config))
    rise = round(warmup * steps_per_epoch)

    def rate(step: int) -> float:
        # Exact, so that what happens at the end of an epoch does not happen a step late.
        factor: float = multiplier(Fraction(step, steps_per_epoch))
        return factor if step >= rise else factor * ((step + 1) / rise)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def clipping(groups: Sequence[Sequence[nn.Parameter]], max_norm: float) -> Callable[[], None]:
    """What scales the gradients of each group down to a 2-norm of at most `max_norm`, in place.

    It waits for no device.
    """
    trained = [[parameter for parameter in group if parameter.requires_grad] for group in groups]

    def clip() -> None:
        for group in trained:
            torch.nn.utils.clip_grad_norm_(group, max_norm, foreach=True)

    return clip


def freeze(model: nn.Module, names: Sequence[str]) -> None:
    """Let parts of a model stand still: their parameters, statistics and dropout.

    Their modules stay in evaluation mode when the model is put into training mode. Raises
    ValueError for a part that the model lacks.
    """
    for name in names:
        for part in _parts(model, name, "freeze"):
            part.requires_grad_(False).eval()
            for module in part.modules():
                module.train = partial(_keep_mode, module)  # type: ignore[method-assign]


def _keep_mode(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _factors(model: nn.Module, lr_scale: Mapping[str, float]) -> dict[nn.Parameter, float]:
    return {
        parameter: lr_scale[name]
        for name in sorted(lr_scale, key=len)
        for part in _parts(model, name, "lr_scale")
        for parameter in part.parameters()
    }


def _parts(model: nn.Module, name: str, setting: str) -> list[nn.Module]:
    """The parts under that name; `encoders` stands for all of `encoders.image, encoders.text`."""
    told = getattr(model, "parts", None)
    if told is None:
        text = f"`{setting}` needs a model that names its parts"
        raise ValueError(f"{text}; '{type(model).__name__}' has no method `parts`")
    parts: Mapping[str, nn.Module] = told()
    under = [part for leaf, part in parts.items() if f"{leaf}.".startswith(f"{name}.")]
    if not under:
        words = [leaf.split(".") for leaf in parts]
        names = dict.fromkeys(".".join(w[:n]) for w in words for n in range(1, len(w) + 1))
        hint = f"{nearest(name, names)} (it has: {listed(names)})"
        raise ValueError(f"`{setting}` must name parts of the model; found '{name}'{hint}")
    return under
