"""How large a model will be, and whether its parts fit their inputs: known without building it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder, Stage
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.registry import settings_in
from mtmm.sharing import SHARINGS
from mtmm.spec import Description, Modality, Task


def encoder_size(config: Mapping[str, Any], modality: Modality, width: int) -> tuple[int, int]:
    """The width of an encoder's feature and its number of parameters.

    `config` is resolved. Raises ValueError where the encoder cannot be made for this input.
    """
    settings = tuple(sorted((key, repr(value)) for key, value in settings_in(config).items()))
    key = (ENCODERS[config["name"]], settings, modality, width)
    size = _SIZES.get(key)
    if size is None:
        size = _SIZES[key] = _measure(config, modality, width)
    if isinstance(size, str):
        raise ValueError(f"encoder '{config['name']}' does not fit {modality.name}: {size}")
    return size


_SIZES: dict[tuple[Any, ...], tuple[int, int] | str] = {}


def model_size(config: Mapping[str, Any], description: Description) -> int:
    """The number of parameters of a resolved model put together from parts, at most.

    Exact where every path is a whole one of its own, as in `hard` and `separate`.
    """
    width = config["width"]
    encoders = {
        modality.name: encoder_size(config["encoders"][modality.name], modality, width)
        for modality in description.modalities
    }
    fusion, sharing = config["fusion"], config["sharing"]
    dims = {name: dim for name, (dim, _) in encoders.items()}
    fused = FUSIONS[fusion["name"]].parameter_count(dims, width, **settings_in(fusion))
    path = fused + sum(count for _, count in encoders.values())
    paths = SHARINGS[sharing["name"]].path_count(len(description.tasks), **settings_in(sharing))
    makers: Mapping[str, Any] = HEADS
    heads = sum(_head_size(makers[task.kind], width, task) for task in description.tasks)
    return paths * path + heads


class _Unfilled(TorchFunctionMode):
    """Leaves out random initialisation: of meta tensors it takes PyTorch a second of imports."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _measure(config: Mapping[str, Any], modality: Modality, width: int) -> tuple[int, int] | str:
    make: Callable[..., Encoder] = ENCODERS[config["name"]]
    try:
        with torch.device("meta"), _Unfilled(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without elements; told below
            encoder = make(modality, width, **settings_in(config))
    except Exception as error:
        return f"{error} (its shape is {list(modality.shape)})"
    for name, stage in encoder.stages.items():
        assert isinstance(stage, Stage)
        if min(stage.out_shape) < 1:
            shape = list(modality.shape)
            return f"stage '{name}' would give {list(stage.out_shape)} (its shape is {shape})"
    return encoder.dim, _count(encoder)


@cache
def _head_size(make: Any, width: int, task: Task) -> int:
    with torch.device("meta"), _Unfilled():
        return _count(make(width, task))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
