"""Any of torchvision's networks for classification, cut into stages."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated, Any

from torch import nn

from mtmm.encoders.backbones import IMAGENET, Input, digest, is_file, load, shapes
from mtmm.encoders.base import Encoder, Plain
from mtmm.settings import Range, listed, nearest
from mtmm.spec import Modality


class Torchvision(Encoder):
    """Any network of torchvision for classification, with its weights or without.

    `model` is its name, such as resnet50, efficientnet_b0, swin_t or vit_b_16. `weights` are
    torchvision's by their name, such as IMAGENET1K_V1 or DEFAULT, from its cache or downloaded; or
    a file, a state dict that `torch.save` has written; without them initialisation is random. The
    feature is what the network's last linear layer read. Stages are the blocks of its trunk and the
    rest; networks without a plain trunk (GoogLeNet, Inception, MaxViT, ViT) are one stage. Images
    are scaled to a square of `size`; `normalize` takes ImageNet's mean and standard deviation out
    of pixels in 0..1.
    """

    kinds = frozenset({"audio", "image"})
    map_stage: str | None = "trunk"

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
        parts = _stages(_network(model, weights))
        first = next(iter(parts))
        parts[first] = nn.Sequential(
            Input(modality, size, IMAGENET if normalize else None), parts[first]
        )
        made = shapes(parts, modality, f"torchvision's '{model}'")
        super().__init__({name: Plain(part, made[name]) for name, part in parts.items()})
        *trunk, _ = parts
        # Swin transformers have their channels last.
        is_map = trunk and len(made[trunk[-1]]) == 3 and not model.startswith("swin")
        self.map_stage = trunk[-1] if is_map else None

    @classmethod
    def content(cls, *, model: str = "resnet18", weights: str | None = None, **_: object) -> str:
        """See `Encoder.content`."""
        code = f"torchvision {version('torchvision')}"
        if weights is None or is_file(weights):
            return code if weights is None else f"{code} {digest(weights)}"
        return f"{code} {_named(model, weights).url}"  # it ends in the first digits of the hash


def _network(model: str, weights: str | None) -> nn.Module:
    # Here, as it takes more than a second: a plan without it does without.
    from torchvision import models

    names = models.list_models(module=models)
    if model not in names:
        raise ValueError(f"`model` must be a classifier of torchvision{nearest(model, names)}")
    further: dict[str, Any] = {}
    if model in ("googlenet", "inception_v3"):
        # Their weights are for inputs that are scaled once more, as torchvision does with them.
        scaled = weights is not None
        further = {"aux_logits": False, "init_weights": not scaled, "transform_input": scaled}
    if weights is None or is_file(weights):
        net: nn.Module = models.get_model(model, weights=None, **further)
        if weights is not None:
            load(net, weights, aside=(_classifier(net), "aux", "AuxLogits"))
        return net
    chosen = _named(model, weights)
    net = models.get_model(model, weights=None, **further)
    if not next(net.parameters()).is_meta:
        state = chosen.get_state_dict(progress=False, check_hash=True)
        net.load_state_dict({k: v for k, v in state.items() if not k.startswith(("aux", "AuxL"))})
    return net


def _named(model: str, weights: str) -> Any:
    from torchvision import models

    known = models.get_model_weights(model)
    names = [*known.__members__]
    if weights not in names:
        text = f"`weights` of '{model}' must be a file or one of: {listed(names)}"
        raise ValueError(f"{text}; found '{weights}'{nearest(weights, names)}")
    return known[weights]


def _classifier(net: nn.Module) -> str:
    """The name of the layer that makes classes of features: the last linear one, of SqueezeNet the
    last convolution.
    """
    for kind in (nn.Linear, nn.Conv2d):
        found = [name for name, module in net.named_modules() if isinstance(module, kind)]
        if found:
            return str(found[-1])
    raise ValueError("`model` must be a network with a linear layer at its end")


def _stages(net: nn.Module) -> dict[str, nn.Module]:
    """Modules that make the feature one after another; the last is the network without the rest."""
    net.set_submodule(_classifier(net), nn.Identity())
    trunk = list(_trunk(net))
    parts = [net.get_submodule(name) for name in trunk]
    for name in trunk:
        net.set_submodule(name, nn.Identity())
    return {f"block{i}": part for i, part in enumerate(_grouped(parts), 1)} | {"rest": net}


_TRUNKS = {
    "MNASNet": ("layers",),
    "RegNet": ("stem", "trunk_output"),
    "ResNet": ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
    "ShuffleNetV2": ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"),
}
"""What a class of networks runs through first, by name; others have it in `features`."""


def _trunk(net: nn.Module) -> Iterator[str]:
    """The names of what runs one after another from the input; nothing where more happens."""
    own = _TRUNKS.get(type(net).__name__)
    for name in own or (("features",) if hasattr(net, "features") else ()):
        inside = net.get_submodule(name)
        if own is None or name in ("layers", "trunk_output"):
            yield from (f"{name}.{child}" for child, _ in inside.named_children())
        else:
            yield name


def _grouped(parts: list[nn.Module]) -> Iterator[nn.Module]:
    """Single layers put together up to a pooling; a block is a stage of its own."""
    group: list[nn.Module] = []
    for part in parts:
        block = next(part.children(), None) is not None
        if block and group:
            yield nn.Sequential(*group)
            group = []
        group.append(part)
        if block or isinstance(part, nn.MaxPool2d):
            yield nn.Sequential(*group) if len(group) > 1 else part
            group = []
    if group:
        yield nn.Sequential(*group)
