"""Frozen encoders: what they make of the data is computed once, and kept between runs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from bench.loading import in_order
from bench.numerics import Around
from bench.source import TRAINING_CORE, core_hash, named_hash
from mtmm.data.cache import cached
from mtmm.encoders.base import Encoder, State
from mtmm.model import PathModel
from mtmm.paths import Path, visible
from mtmm.spec import Batch, DataBundle, Features, Modality, in_memory

PARTS = ("train", "val", "test")
_BATCH = 64  # samples at a time: a large network's maps of more may not fit
_MOST_BYTES = 2**31  # of one modality's features; of more the encoder runs in every step

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


def freeze_features(config: Config, model: nn.Module, bundle: DataBundle, around: Around) -> Frozen:
    """Run every encoder that stands still over the data, or read what an earlier run kept of it.

    An encoder does where all of it is frozen, all paths have the same one, and they run it as a
    whole (`hard`, `separate`). Of others, and of data that is not all in memory, nothing changes.
    """
    started = time.perf_counter()
    frozen = Frozen(bundle, (), 0.0, [])
    if not isinstance(model, PathModel) or not type(model.sharing).whole_paths:
        return frozen
    if not all(isinstance(getattr(bundle, part), Batch) for part in PARTS):
        return frozen
    paths = [module for module in model.sharing.modules() if isinstance(module, Path)]
    looked_up: dict[str, _LookUp] = {}
    for modality in bundle.modalities:
        encoders = [_encoder_of(path, modality) for path in paths]
        if all(map(_stands_still, encoders)) and _alike(encoders):
            made = _features(config, bundle, modality, encoders[0], around)
            if made is not None:
                bundle, looked_up[modality.name] = made
    if looked_up:
        frozen = Frozen(bundle, tuple(looked_up), 0.0, [(path, path.modalities) for path in paths])
        for path in paths:
            _look_up(path, looked_up, bundle.modalities)
    frozen.seconds = time.perf_counter() - started
    return frozen


class _LookUp:
    """In place of an encoder: rows `[B, N + 1]`, what it made and whether the sample was there."""

    def __init__(self, encoder: Encoder, shape: torch.Size, absent: Tensor, masked: int) -> None:
        self._encoder, self._shape, self._absent, self._masked = encoder, shape, absent, masked

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Features:
        there = x[:, -1:] > 0
        row = torch.where(there, x[:, :-1], self._absent)
        made = row[:, : row.shape[1] - self._masked].reshape(len(row), *self._shape)
        tokens = row[:, row.shape[1] - self._masked :] > 0 if self._masked else None
        if made.dim() == 2:
            return Features(vector=made)
        return self._encoder.read({self._encoder.names[-1]: State(made, tokens)})


def _look_up(path: Path, found: Mapping[str, _LookUp], modalities: Sequence[Modality]) -> None:
    for modality, encoder in zip(path.modalities, path.encoders, strict=True):
        if modality.name in found:
            encoder.forward = found[modality.name]
    path.modalities = tuple(modalities)


def _encoder_of(path: Path, modality: Modality) -> Encoder:
    named = zip(path.modalities, path.encoders, strict=True)
    (encoder,) = (e for m, e in named if m.name == modality.name and isinstance(e, Encoder))
    return encoder


def _stands_still(encoder: Encoder) -> bool:
    parameters = list(encoder.parameters())
    moving = any(p.requires_grad for p in parameters) or any(
        module.training for module in encoder.stages.modules() if module is not encoder.stages
    )
    return bool(parameters) and not moving


def _alike(encoders: Sequence[Encoder]) -> bool:
    first, *others = (encoder.state_dict() for encoder in encoders)
    return all(torch.equal(value, other[name]) for other in others for name, value in first.items())


def _features(
    config: Config, bundle: DataBundle, modality: Modality, encoder: Encoder, around: Around
) -> tuple[DataBundle, _LookUp] | None:
    """The data with the encoder's features as a modality; None where they take too much memory."""
    device = in_memory(bundle.train).device
    absent = _run(encoder, _nothing(modality, device), modality, around)
    samples = sum(len(getattr(bundle, part)) for part in PARTS)
    if samples * (absent.x[0].numel() + 1) * absent.x.element_size() > _MOST_BYTES:
        return None

    def build() -> dict[str, Tensor]:
        return {part: torch.cat(list(rows(getattr(bundle, part)))).cpu() for part in PARTS}

    def rows(split: Batch) -> Iterator[Tensor]:
        for batch in in_order(split.select([modality.name], split.targets), _BATCH):
            made = _row(_run(encoder, batch, modality, around))
            there = batch.present[modality.name].to(made.dtype)[:, None]
            yield torch.cat([made, there], dim=1)

    found = cached("features", _key(config, bundle, modality, encoder), build)
    row = _row(absent)
    new = Modality(name=modality.name, kind="vector", shape=(row.shape[1] + 1,))
    train, val, test = (
        _with_input(in_memory(split), modality.name, found[part].to(device))
        for part, split in zip(PARTS, (bundle.train, bundle.val, bundle.test), strict=True)
    )
    modalities = tuple(new if m.name == modality.name else m for m in bundle.modalities)
    masked = 0 if absent.mask is None else absent.mask.shape[1]
    return (
        replace(bundle, modalities=modalities, train=train, val=val, test=test),
        _LookUp(encoder, absent.x.shape[1:], row, masked),
    )


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


def _with_input(split: Batch, name: str, x: Tensor) -> Batch:
    return replace(split, inputs={**split.inputs, name: x})


def _key(config: Config, bundle: DataBundle, modality: Modality, encoder: Encoder) -> str:
    """A hash over all that decides the features: data, weights, code, numbers."""
    chosen = config["model"]["encoders"][modality.name]
    told = [
        config["dataset"],
        bundle.fingerprint,
        modality.name,
        chosen,
        encoder.names,
        config["numerics"],
        [named_hash("dataset", config["dataset"]["name"]), named_hash("encoder", chosen["name"])],
        core_hash(TRAINING_CORE),
        [version("torch"), in_memory(bundle.train).device.type],
    ]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, value in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(
            value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
