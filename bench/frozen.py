"""Frozen encoders: what they make of the data is computed once, and kept between runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from bench.loading import in_order
from bench.numerics import Around
from bench.source import core_hash, named_hash
from mtmm.data.cache import cached
from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder, State
from mtmm.model import PathModel
from mtmm.paths import Path, visible
from mtmm.registry import settings_in
from mtmm.spec import Batch, DataBundle, Features, Modality, in_memory

PARTS = ("train", "val", "test")
_BATCH = 64  # samples at a time: a large network's maps of more may not fit
_MOST_BYTES = 2**30  # of one modality's features; of more the encoder runs in every step
_CORE = (
    "bench.frozen",
    "bench.numerics",
    "mtmm.attention",
    "mtmm.encoders.base",
    "mtmm.paths",
    "mtmm.spec",
)
"""The modules that features are made by, besides encoder and data set."""

Config = Mapping[str, Any]


@dataclass
class Frozen:
    """Data in which the inputs of frozen encoders are what these make of them.

    `bundle` belongs to the model until `restore`, which lets the encoders run again.
    """

    bundle: DataBundle
    modalities: tuple[str, ...]
    seconds: float
    _before: list[tuple[Path, tuple[Modality, ...]]]

    def restore(self) -> None:
        """Let the model read the data as they were."""
        for path, modalities in self._before:
            for name, encoder in zip((m.name for m in modalities), path.encoders, strict=True):
                if name in self.modalities:
                    del encoder.forward
            path.modalities = modalities


def freeze_features(
    config: Config, model: nn.Module, bundle: DataBundle, around: Around, device: torch.device
) -> Frozen:
    """Run every encoder that stands still over the data, or read what an earlier run kept of it.

    The model is on `device`; the features come to lie where the data do.
    An encoder does where all of it is frozen, and its path runs it as a whole (`hard`, `separate`).
    Of others, and of data that is not all in memory, nothing changes.
    """
    started = time.perf_counter()
    frozen = Frozen(bundle, (), 0.0, [])
    if not isinstance(model, PathModel) or not type(model.sharing).whole_paths:
        return frozen
    if not all(isinstance(getattr(bundle, part), Batch) for part in PARTS):
        return frozen
    paths = [module for module in model.sharing.modules() if isinstance(module, Path)]
    before = [(path, path.modalities) for path in paths]
    names = []
    for modality in bundle.modalities:
        encoders = [_encoder_of(path, modality) for path in paths]
        if all(map(_stands_still, encoders)):
            found = _features(config, bundle, modality, encoders, around, device)
            if found is not None:
                bundle = found
                names.append(modality.name)
    for path in paths:
        path.modalities = bundle.modalities
    return Frozen(bundle, tuple(names), time.perf_counter() - started, before)


class _LookUp:
    """In place of an encoder: takes what that made out of rows `[B, N + 1]`.

    It is at `columns` of a row, a state of this shape and `masked` numbers for its token mask; the
    last number of all says whether the sample is there.
    """

    def __init__(self, encoder: Encoder, columns: slice, absent: State) -> None:
        self._encoder, self._columns = encoder, columns
        self._shape, self._absent = absent.x.shape[1:], _row(absent)
        self._masked = 0 if absent.mask is None else absent.mask.shape[1]

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Features:
        row = torch.where(x[:, -1:] > 0, x[:, self._columns], self._absent)
        end = row.shape[1] - self._masked
        made = row[:, :end].reshape(len(row), *self._shape)
        if made.dim() == 2:
            return Features(vector=made)
        tokens = row[:, end:] > 0 if self._masked else None
        return self._encoder.read({self._encoder.names[-1]: State(made, tokens)})


def _encoder_of(path: Path, modality: Modality) -> Encoder:
    named = zip(path.modalities, path.encoders, strict=True)
    (encoder,) = (e for m, e in named if m.name == modality.name and isinstance(e, Encoder))
    return encoder


def _stands_still(encoder: Encoder) -> bool:
    parameters = list(encoder.parameters())
    moving = any(p.requires_grad for p in parameters) or any(
        module.training for module in encoder.stages.modules() if module is not encoder.stages
    )
    # One that goes another way from its stages to its features would be looked up wrongly.
    usual = type(encoder).forward is Encoder.forward and type(encoder).read is Encoder.read
    return bool(parameters) and usual and not moving


def _features(
    config: Config,
    bundle: DataBundle,
    modality: Modality,
    encoders: Sequence[Encoder],
    around: Around,
    device: torch.device,
) -> DataBundle | None:
    """The data with the encoders' features as a modality; None where they take too much memory.

    Those of encoders with other weights lie side by side. From then on the encoders look them up.
    """
    keys = [_key(config, bundle, modality, encoder, device) for encoder in encoders]
    distinct = dict(zip(keys, encoders, strict=True))
    nothing = _nothing(modality, device)
    absent = {key: _run(encoder, nothing, modality, around) for key, encoder in distinct.items()}
    widths = [_row(state).shape[1] for state in absent.values()]
    splits = [in_memory(split) for split in (bundle.train, bundle.val, bundle.test)]
    samples, size = sum(map(len, splits)), absent[keys[0]].x.element_size()
    if samples * (sum(widths) + 1) * size > _MOST_BYTES:
        return None
    ends = list(accumulate(widths, initial=0))
    columns = dict(zip(distinct, map(slice, ends, ends[1:]), strict=True))
    made = []
    for part, split in zip(PARTS, splits, strict=True):
        x = torch.empty(
            len(split), ends[-1] + 1, dtype=absent[keys[0]].x.dtype, device=split.device
        )
        for key, encoder in distinct.items():
            x[:, columns[key]] = _rows(part, split, key, modality, encoder, around, device)
        x[:, -1] = split.present[modality.name]
        made.append(replace(split, inputs={**split.inputs, modality.name: x}))
    for key, encoder in zip(keys, encoders, strict=True):
        encoder.forward = _LookUp(encoder, columns[key], absent[key])  # type: ignore[method-assign]
    new = Modality(name=modality.name, kind="vector", shape=(ends[-1] + 1,))
    modalities = tuple(new if m.name == modality.name else m for m in bundle.modalities)
    train, val, test = made
    return replace(bundle, modalities=modalities, train=train, val=val, test=test)


def _rows(
    part: str,
    split: Batch,
    key: str,
    modality: Modality,
    encoder: Encoder,
    around: Around,
    device: torch.device,
) -> Tensor:
    """What the encoder, on `device`, makes of a split: `[N, width]`, on the CPU."""

    def build() -> dict[str, Tensor]:
        batches = in_order(split.select([modality.name], split.targets), _BATCH)
        rows = (_row(_run(encoder, batch.to(device), modality, around)) for batch in batches)
        return {"features": torch.cat([row.cpu() for row in rows])}

    return cached(f"features-{part}", key, build)["features"]


def _run(encoder: Encoder, batch: Batch, modality: Modality, around: Around) -> State:
    """The state after the last stage, which is all that a path reads of an encoder."""
    state = State(*visible(batch.inputs[modality.name], modality, batch.present[modality.name]))
    with torch.no_grad(), around():
        for stage in encoder.stages.values():
            state = stage(*state)
    return state if state.x.dim() > 2 else State(state.x, None)


def _row(state: State) -> Tensor:
    x = state.x.flatten(1)
    return x if state.mask is None else torch.cat([x, state.mask.to(x.dtype)], dim=1)


def _nothing(modality: Modality, device: torch.device) -> Batch:
    """One sample that is absent."""
    dtype = torch.int64 if modality.vocabulary is not None else torch.float32
    return Batch(
        inputs={modality.name: torch.zeros(1, *modality.shape, dtype=dtype, device=device)},
        targets={},
        present={modality.name: torch.zeros(1, dtype=torch.bool, device=device)},
        labelled={},
    )


def _key(
    config: Config,
    bundle: DataBundle,
    modality: Modality,
    encoder: Encoder,
    device: torch.device,
) -> str:
    """A hash over all that decides the features: data, weights, code, numbers."""
    chosen = config["model"]["encoders"][modality.name]
    told = [
        config["dataset"],
        bundle.fingerprint,
        modality.name,
        chosen,
        encoder.names,
        config["numerics"],
        ENCODERS[chosen["name"]].content(**settings_in(chosen)),
        config["train"]["threads"],
        [named_hash("dataset", config["dataset"]["name"]), named_hash("encoder", chosen["name"])],
        core_hash(_CORE),
        [version("torch"), device.type],
    ]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(
            value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
