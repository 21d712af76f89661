"""What encoders out of other libraries share: their inputs, their weights, the shapes they make."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtmm.spec import Modality

Pixels = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of pixels in 0..1, by channel."""

IMAGENET: Pixels = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Input(nn.Module):
    """Images `[B, C, H, W]` of one channel or three, as networks for photographs read them.

    One channel becomes three alike. `size` is the side of the square they are scaled to, `pixels`
    what is taken out of them.
    """

    def __init__(self, modality: Modality, size: int | None, pixels: Pixels | None) -> None:
        super().__init__()
        self.channels, self.size = modality.shape[0], size
        if self.channels not in (1, 3):
            text = f"'{modality.name}' must have 1 channel or 3"
            raise ValueError(f"{text}; found {self.channels}")
        self.normalize = pixels is not None
        for name, values in zip(("mean", "sd"), pixels or IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[B, C, H, W]` to `[B, 3, size, size]`."""
        if self.size is not None and tuple(x.shape[2:]) != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        if self.channels == 1:
            x = x.expand(-1, 3, -1, -1)
        return (x - self.get_buffer("mean")) / self.get_buffer("sd") if self.normalize else x


def is_file(weights: str) -> bool:
    """Whether `weights` are to be found in a file rather than by a name."""
    return "/" in weights or Path(weights).suffix in (".pt", ".pth", ".bin", ".safetensors")


def digest(weights: str) -> str:
    """SHA-256 of a file of weights; ValueError where it cannot be read."""
    try:
        stat = Path(weights).stat()
        return _digest(weights, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        text = "`weights` must be a file that can be read, from where the command runs"
        raise ValueError(f"{text}; found {weights} ({error.strerror})") from None


@lru_cache(maxsize=64)
def _digest(weights: str, size: int, changed: int) -> str:
    with Path(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(net: nn.Module, weights: str, *, aside: tuple[str, ...]) -> None:
    """Put the weights of a file into a network, all of them but the parts `aside`.

    ValueError where the file holds no weights, or those of another network. On PyTorch's `meta`
    device names and shapes are checked, no more.
    """
    digest(weights)  # a file that cannot be read is told as such
    state = {k: v for k, v in _read(weights).items() if not k.startswith(aside)}
    own = {k: v for k, v in net.state_dict().items() if not k.startswith(aside)}
    missing = [name for name in own if name not in state]
    strange = [name for name in state if name not in own]
    shapes = [n for n in own if n in state and own[n].shape != state[n].shape]
    for names, what in (
        (missing, "it lacks"),
        (strange, "it has besides"),
        (shapes, "of another shape are"),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            text = f"`weights` must be those of this network; in {weights} {what}"
            raise ValueError(f"{text} {', '.join(names[:3])}{more}")
    if not any(value.is_meta for value in own.values()):
        net.load_state_dict(state, strict=False)


def _read(weights: str) -> Mapping[str, Tensor]:
    try:
        if weights.endswith(".safetensors"):
            from safetensors.torch import load_file

            made: object = load_file(weights)
        else:
            # Mapped, where the file allows it: a plan needs no more than names and shapes.
            mapped = zipfile.is_zipfile(weights)
            made = torch.load(weights, "cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        text = f"`weights` must be a state dict that torch.save has written; {weights}"
        raise ValueError(f"{text} cannot be read: {' '.join(str(error).split())[:200]}") from None
    for key in ("state_dict", "model"):
        if isinstance(made, dict) and isinstance(made.get(key), dict):
            made = made[key]
    if not isinstance(made, dict) or not all(isinstance(v, Tensor) for v in made.values()):
        text = "`weights` must be a state dict, names to tensors"
        raise ValueError(f"{text}; {weights} holds something else")
    return made


def shapes(
    stages: Mapping[str, nn.Module], modality: Modality, told: str
) -> dict[str, tuple[int, ...]]:
    """What each stage makes of one sample; ValueError, with what is `told`, where one fails.

    Their parameters and statistics stay as they are.
    """
    found = {}
    # On the device that a module is made on: "meta" while a suite is planned.
    x = torch.zeros(1, *modality.shape)
    with torch.no_grad():
        for name, stage in stages.items():
            stage.eval()
            try:
                x = stage(x)
            except (RuntimeError, AssertionError, AttributeError, ValueError) as error:
                size = " × ".join(map(str, modality.shape[1:]))
                text = f"{told} cannot read '{modality.name}' of {size}"
                why = " ".join(str(error).split())[:160]
                raise ValueError(f"{text} (set `size`, as 224): {why}") from None
            if not isinstance(x, Tensor):
                raise ValueError(f"{told} hands on a {type(x).__name__}, not one tensor")
            found[name] = tuple(x.shape[1:])
            stage.train()
    return found
