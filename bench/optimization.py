"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from torch import nn

from mtmm.registry import settings_in
from mtmm.settings import Component, Range

Rate = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(low=0)]
Share = Annotated[float, Range(low=0, below=1)]
Groups = list[dict[str, Any]]
Multiplier = Callable[[int], float]


def adamw(
    groups: Groups,
    *,
    lr: Rate = 1e-3,
    weight_decay: NotNegative = 0.01,
    beta1: Share = 0.9,
    beta2: Share = 0.999,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2))


def adam(
    groups: Groups,
    *,
    lr: Rate = 1e-3,
    weight_decay: NotNegative = 0.0,
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
    weight_decay: NotNegative = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        groups, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
    )


OPTIMIZERS: Mapping[str, Component] = {"adam": adam, "adamw": adamw, "sgd": sgd}


def constant(total_steps: int) -> Multiplier:
    """The same rate throughout."""
    return lambda step: 1.0


def cosine(total_steps: int, *, final: Annotated[float, Range(low=0, high=1)] = 0.0) -> Multiplier:
    """Half a cosine from the rate down to `final` times the rate at the last step."""

    def multiplier(step: int) -> float:
        done = min(step / total_steps, 1.0)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))

    return multiplier


SCHEDULES: Mapping[str, Component] = {"constant": constant, "cosine": cosine}


def build_optimizer(
    config: Mapping[str, Any], model: nn.Module, learned: Groups
) -> torch.optim.Optimizer:
    """The optimizer a resolved `optimizer:` stands for; `learned` are groups of a weighting."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: Groups = [{"params": parameters}, *learned]
    optimizer: torch.optim.Optimizer = OPTIMIZERS[config["name"]](groups, **settings_in(config))
    return optimizer


def build_schedule(
    config: Mapping[str, Any], optimizer: torch.optim.Optimizer, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule a resolved `schedule:` stands for; it is stepped after every step."""
    multiplier = SCHEDULES[config["name"]](total_steps, **settings_in(config))
    return torch.optim.lr_scheduler.LambdaLR(optimizer, multiplier)
