"""One call in a training loop of one's own, where `losses.sum().backward()` stood."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtmm.spec import SharedSpace
from mtmm.weighting.stateful import StatefulWeighting


def backward(
    losses: Sequence[Tensor],
    weighting: StatefulWeighting,
    shared: Sequence[Tensor] | Tensor | nn.Module | SharedSpace,
) -> Tensor | None:
    """Add the combined gradient of T scalar losses to the `.grad` of every parameter they reach.

    `shared` is where the tasks meet: the parameters that they share or a module with these (space
    `theta`), the representation that they share (`z`: every path from a shared parameter to a loss
    leads through it), or a `SharedSpace` with all of them. Give the losses as they are made, not
    stacked: through a stack every task's pass would go through all heads. Returns the weights
    `[T]`, None for a method that gives none. Raises ValueError where `shared` is not what the
    method's space needs.
    """
    # Autocast is for forward passes: here it would round Gramians and combined gradients.
    device = losses[0].device.type if losses else "cpu"
    with torch.autocast(device, enabled=False):
        return weighting.backward(list(losses), _space(shared))


def _space(shared: Sequence[Tensor] | Tensor | nn.Module | SharedSpace) -> SharedSpace:
    if isinstance(shared, SharedSpace):
        return shared
    if isinstance(shared, nn.Module):
        return SharedSpace(theta={"shared": tuple(shared.parameters())})
    tensors = (shared,) if isinstance(shared, Tensor) else tuple(shared)
    parameters = tuple(tensor for tensor in tensors if isinstance(tensor, nn.Parameter))
    if len(parameters) == len(tensors):
        return SharedSpace(theta={"shared": parameters})
    if parameters:
        raise ValueError("`shared` must be parameters or a representation; found some of both")
    return SharedSpace(z=tensors)
