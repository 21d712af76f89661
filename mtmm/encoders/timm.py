"""Any image network of timm, PyTorch Image Models: `pip install 'mtmm-bench[timm]'`."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from mtmm.encoders.backbones import Input, digest, is_file, load, shapes
from mtmm.encoders.base import Encoder, Plain
from mtmm.settings import Range, nearest
from mtmm.spec import Modality

_PRETRAINED = "pretrained"


class Timm(Encoder):
    """Any image network of timm (`pip install 'mtmm-bench[timm]'`), with its weights or without.

    `model` is its name, such as resnet18, convnext_tiny.fb_in1k or vit_tiny_patch16_224. `weights`
    are `pretrained`, those that timm has under that name, from its cache or downloaded; or a file,
    `.safetensors` or a state dict that `torch.save` has written; without them initialisation is
    random. Stages are the network up to its map or tokens, and its pooling. Images are scaled to a
    square of `size`; `normalize` takes the network's own mean and standard deviation out of pixels
    in 0..1.
    """

    kinds = frozenset({"audio", "image"})
    map_stage: str | None = "features"

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        model: str = "resnet18",
        weights: str | None = None,
        size: Annotated[int, Range(low=1, high=4096)] | None = None,
        normalize: bool = False,
    ) -> None:
        net = _network(model, weights)
        pixels = (net.default_cfg["mean"], net.default_cfg["std"]) if normalize else None
        read = Input(modality, size, pixels)
        whole = {"features": nn.Sequential(read, _Features(net)), "pool": _Pool(net)}
        made = shapes(whole, modality, f"timm's '{model}'")
        features, pool = _apart(net, torch.zeros(1, *modality.shape), read)
        parts = {"features": nn.Sequential(read, _Features(features)), "pool": _Pool(pool)}
        super().__init__({name: Plain(part, made[name]) for name, part in parts.items()})
        dims = len(made["features"])
        channels_last = "NHWC" in str(getattr(net, "output_fmt", ""))
        self.map_stage = "features" if dims == 3 and not channels_last else None
        self.token_stage = "features" if dims == 2 else None

    @classmethod
    def content(cls, *, model: str = "resnet18", weights: str | None = None, **_: Any) -> str:
        """See `Encoder.content`."""
        timm = _timm()
        code = f"timm {timm.__version__}"
        if weights is None or is_file(weights):
            return code if weights is None else f"{code} {digest(weights)}"
        if weights != _PRETRAINED:
            text = f"`weights` must be '{_PRETRAINED}' or a file"
            raise ValueError(f"{text}; found '{weights}'")
        try:
            told = timm.get_pretrained_cfg(model, allow_unregistered=False)
        except RuntimeError as error:
            raise ValueError(f"`weights`: timm has none for '{model}': {error}") from None
        if not told.has_weights:
            raise ValueError(f"`weights`: timm has none for '{model}'")
        return f"{code} {told.architecture}.{told.tag} {told.url}"


class _Features(nn.Module):
    """A network up to its map `[B, C, H, W]` or its tokens `[B, S, D]`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.net.forward_features(x)  # type: ignore[operator]
        return made


class _Pool(nn.Module):
    """From map or tokens to the vector `[B, D]` that the network would classify by."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.net.forward_head(x, pre_logits=True)  # type: ignore[operator]
        return made


def _apart(net: nn.Module, x: Tensor, read: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The network twice, each with the modules that it runs: up to the map or tokens, and behind.

    Two encoders may share one and not the other.
    """
    run: list[str] = []
    hooks = [
        part.register_forward_pre_hook(lambda *_, name=name: run.append(name.partition(".")[0]))
        for name, part in net.named_modules()
        if name
    ]
    mode = net.training
    net.eval()
    with torch.no_grad():
        made = _Features(net)(read(x))
        before = set(run)
        run.clear()
        _Pool(net)(made)
    for hook in hooks:
        hook.remove()
    net.train(mode)
    return _without(net, set(run) - before), _without(net, before - set(run), tensors=False)


def _without(net: nn.Module, names: set[str], *, tensors: bool = True) -> nn.Module:
    """The same network without those modules, and unless asked without tensors of its own."""
    made = copy.copy(net)
    made._modules = {name: part for name, part in net._modules.items() if name not in names}
    if not tensors:
        made._parameters, made._buffers = {}, {}
    return made


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        text = "encoder 'timm' needs the package timm: pip install 'mtmm-bench[timm]'"
        raise ValueError(text) from None
    return timm


def _network(model: str, weights: str | None) -> Any:
    timm = _timm()
    if not timm.is_model(model):
        hint = nearest(model.split(".")[0], timm.list_models())
        raise ValueError(f"`model` must be a network of timm; found '{model}'{hint}")
    named = weights == _PRETRAINED
    meta = torch.empty(()).is_meta  # only its size is asked for
    net = timm.create_model(model, pretrained=named and not meta, num_classes=0)
    if weights is not None and not named:
        classifier = net.default_cfg.get("classifier", ())
        load(net, weights, aside=(classifier,) if isinstance(classifier, str) else classifier)
    return net
