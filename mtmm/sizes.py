"""How large a model will be, and whether its parts fit their inputs: known without building it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mtmm.blame import blame, place_of, speaks
from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder, Stage
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion
from mtmm.fusion.tokens import TokenFusion
from mtmm.heads import HEADS
from mtmm.model import PathModel, build_model
from mtmm.registry import settings_in
from mtmm.settings import Problem, found
from mtmm.sharing import SHARINGS
from mtmm.spec import Description, Modality, Task

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a part cannot be made; `fits` says that it is no mistake of its code."""

    text: str
    fits: bool


_KNOWN: dict[tuple[Any, ...], nn.Module | _Failure | None] = {}


def misfits(config: Config, description: Description) -> Iterator[Problem]:
    """Why the parts of a resolved model cannot be made for the data; places are inside `model`."""
    fitting = True
    for modality in description.modalities:
        encoder = config["encoders"][modality.name]
        wrong = _encoder_failure(encoder, modality, config["width"])
        if wrong is not None:
            shape = list(modality.shape)
            text = f" does not fit {modality.name} of shape {shape}" if wrong.fits else ""
            text = f"encoder '{encoder['name']}'{text}: {wrong.text}"
            fitting = False
            yield Problem(("encoders", modality.name), text, combination=wrong.fits)
        elif _lacks_tokens(config, modality):
            text = f"encoder '{encoder['name']}' has no tokens with these settings"
            text = f"{text}, which fusion '{config['fusion']['name']}' needs of every modality"
            yield Problem(("encoders", modality.name), text, combination=True)
    for task in description.tasks:
        head = _head(config, task)
        if isinstance(head, _Failure):
            text = f"head '{config['heads'][task.name]['name']}' of task '{task.name}'"
            yield Problem(("heads",), f"{text}: {head.text}", combination=head.fits)
    if fitting:
        yield from _misfits_of_paths(config, description)


def model_size(config: Config, description: Description) -> int | None:
    """The number of parameters of a resolved model put together from parts, at most.

    Exact but where the model as a whole cannot be made without memory; None where a part cannot, or
    not at all: `misfits` tells.
    """
    decisions = FUSIONS[config["fusion"]["name"]].level == "decision"
    if decisions or not SHARINGS[config["sharing"]["name"]].whole_paths:
        whole = _on_meta(build_model, (config, description), {})
        if decisions or isinstance(whole, nn.Module):
            return _count(whole) if isinstance(whole, nn.Module) else None
    encoders = _encoders(config, description)
    fused, paths = _fusion_size(config, encoders), _path_count(config, description)
    made = [part for part in encoders.values() if isinstance(part, Encoder)]
    wanted = [_head(config, task) for task in description.tasks]
    heads = [head for head in wanted if isinstance(head, nn.Module)]
    if len(made) < len(encoders) or len(heads) < len(wanted):
        return None
    if not isinstance(fused, int) or not isinstance(paths, int):
        return None
    token = FUSIONS[config["fusion"]["name"]].level == "token"
    path = fused + sum(_encoder_size(encoder, token) for encoder in made)
    return paths * path + sum(map(_count, heads))


def shares_parameters(config: Config, description: Description) -> bool:
    """Whether some parameter of a resolved model is used by more than one task.

    True too where the model cannot say, or cannot be made without memory.
    """
    model = _on_meta(build_model, (config, description), {})
    theta = getattr(model.sharing, "theta", None) if isinstance(model, PathModel) else None
    return theta is None or any(theta.values())


def _encoder_size(encoder: Encoder, token: bool) -> int:
    """The parameters of those stages that are used."""
    names = encoder.until_tokens() if token else list(encoder.stages)
    return sum(_count(encoder.stages[name]) for name in names)


def fused_values(config: Config, description: Description) -> int:
    """Numbers in the largest tensors that the fusions of all paths make of one sample.

    0 where that is unknown.
    """
    make, settings = FUSIONS[config["fusion"]["name"]], settings_in(config["fusion"])
    encoders, paths = _encoders(config, description), _path_count(config, description)
    dims = _dims(make, encoders)
    if dims is None or not isinstance(paths, int):
        return 0
    if make.level == "token":
        settings["tokens"] = {name: encoder.token_count for name, encoder in encoders.items()}
    return paths * make.values_per_sample(dims, config["width"], **settings)


def memory_mib(parameters: int, values: int, batch_size: int) -> int:
    """About the memory of a training step in MiB: what parameters and fusions take for sure.

    Weights, gradients and Adam's two averages, and the largest tensors of the fusions with their
    gradients, `values` numbers a sample, all of 4 bytes. Encoders' activations come on top.
    """
    return round((16 * parameters + 8 * values * batch_size) / 2**20)


def _dims(make: type[Fusion], encoders: Mapping[str, Any]) -> dict[str, int] | None:
    """The widths of what a fusion gets; None where an encoder cannot be made."""
    made = {name: e for name, e in encoders.items() if isinstance(e, Encoder)}
    if len(made) < len(encoders):
        return None
    token = make.level == "token"
    return {name: e.token_dim if token else e.dim for name, e in made.items()}


def _misfits_of_paths(config: Config, description: Description) -> Iterator[Problem]:
    fused = _fusion_size(config, _encoders(config, description))
    paths: object = _path_count(config, description)
    whole_paths = SHARINGS[config["sharing"]["name"]].whole_paths
    if not whole_paths and not isinstance(fused, _Failure) and not isinstance(paths, _Failure):
        paths = _on_meta(build_model, (config, description), {})
    for kind, result in (("fusion", fused), ("sharing", paths)):
        if isinstance(result, _Failure):
            text = f"{kind} '{config[kind]['name']}': {result.text}"
            yield Problem((kind,), text, combination=result.fits)


def _encoders(config: Config, description: Description) -> dict[str, Any]:
    return {
        modality.name: _encoder(config["encoders"][modality.name], modality, config["width"])
        for modality in description.modalities
    }


def _encoder(config: Config, modality: Modality, width: int) -> nn.Module | _Failure | None:
    make = ENCODERS[config["name"]]
    try:
        content = make.content(**settings_in(config))
    except Exception as error:
        return _Failure(blame(error), fits=False)
    return _on_meta(make, (modality, width), config, content)


def _head(config: Config, task: Task) -> nn.Module | _Failure | None:
    chosen = config["heads"][task.name]
    return _on_meta(HEADS[chosen["name"]], (config["width"], task), chosen)


def _encoder_failure(config: Config, modality: Modality, width: int) -> _Failure | None:
    encoder = _encoder(config, modality, width)
    if not isinstance(encoder, Encoder):
        return encoder if isinstance(encoder, _Failure) else None
    for name, stage in encoder.stages.items():
        if not isinstance(stage, Stage):
            text = f"its stage '{name}' must be a Stage, such as Plain(module, out_shape)"
            return _Failure(f"{text}; found {type(stage).__name__}", fits=False)
        if min(stage.out_shape, default=1) < 1:
            return _Failure(f"its stage '{name}' would give {list(stage.out_shape)}", fits=True)
    return None


def _lacks_tokens(config: Config, modality: Modality) -> bool:
    """Whether the fusion needs tokens, which an encoder of this class has with other settings."""
    fusion = FUSIONS[config["fusion"]["name"]]
    if not (issubclass(fusion, TokenFusion) and fusion.needs_tokens):
        return False
    encoder = _encoder(config["encoders"][modality.name], modality, config["width"])
    return isinstance(encoder, Encoder) and (encoder.map_stage or encoder.token_stage) is None


def _fusion_size(config: Config, encoders: Mapping[str, Any]) -> int | _Failure | None:
    make, settings = FUSIONS[config["fusion"]["name"]], settings_in(config["fusion"])
    dims = _dims(make, encoders)
    if dims is None or make.level == "decision":
        return None  # a decision-level one belongs to each task: its size is that of its head
    if make.level == "token":  # some widths fit no number of heads
        made = _on_meta(make, (dims, config["width"]), settings)
        if isinstance(made, _Failure):
            return made
    # The formula of a class says nothing of its subclasses.
    if "parameter_count" in vars(make):
        try:
            return make.parameter_count(dims, config["width"], **settings)
        except Exception as error:
            return _Failure(blame(error), speaks(error))
    fusion = _on_meta(make, (dims, config["width"]), settings)
    return _count(fusion) if isinstance(fusion, nn.Module) else fusion


def _path_count(config: Config, description: Description) -> int | _Failure:
    sharing = config["sharing"]
    count = SHARINGS[sharing["name"]].path_count
    try:
        paths = count(len(description.tasks), **settings_in(sharing))
    except Exception as error:
        return _Failure(blame(error), speaks(error))
    if type(paths) is not int or paths < 1:
        text = "`path_count` must give a whole number of at least 1"
        return _Failure(f"{text}; found {found(paths)}", fits=False)
    return paths


def _on_meta(
    make: Any, arguments: tuple[Any, ...], config: Config, content: str = ""
) -> nn.Module | _Failure | None:
    """The module without memory; why it cannot be made, or None if only not without memory."""
    key = (make, repr(arguments), repr(sorted(settings_in(config).items())), content)
    if key not in _KNOWN:
        try:
            with torch.device("meta"), _Unfilled(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of layers without elements; told by `misfits`
                _KNOWN[key] = make(*arguments, **settings_in(config))
        except Exception as error:
            # Where a constructor reads what tensors hold, PyTorch says that "meta" ones cannot.
            needs_memory = re.search(r"\bmeta\b", str(error), re.IGNORECASE)
            # So it does of sizes that are out of bounds; where a user's code fails, it is wrong.
            fits = speaks(error) or place_of(error) is None
            _KNOWN[key] = None if needs_memory else _Failure(blame(error), fits)
    return _KNOWN[key]


class _Unfilled(TorchFunctionMode):
    """Leaves out random initialisation: of meta tensors it takes PyTorch a second of imports."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.nn.init.normal_, torch.Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
