from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from mtmm.configuration import resolve_model
from mtmm.encoders import ENCODERS
from mtmm.encoders.lenet import LeNet
from mtmm.fusion import FUSIONS
from mtmm.fusion.sum import Sum
from mtmm.model import build_model
from mtmm.settings import Problem
from mtmm.sharing import SHARINGS
from mtmm.sharing.hard import Hard
from mtmm.sizes import misfits, model_size
from mtmm.spec import DataBundle, Description, Modality

IMAGE = Modality(name="image", kind="image", shape=(1, 28, 28))


@pytest.mark.parametrize("sharing", sorted(SHARINGS))
@pytest.mark.parametrize("fusion", sorted(set(FUSIONS) - {"none"}))
def test_the_size_of_a_model_is_that_of_the_built_one(
    bundle: DataBundle, sharing: str, fusion: str
) -> None:
    given = {"encoders": {"image": "lenet", "text": "lstm"}, "fusion": fusion, "sharing": sharing}
    problems: list[Problem] = []
    config = resolve_model(given, bundle, (), problems)
    assert not problems
    built = sum(parameter.numel() for parameter in build_model(config, bundle).parameters())
    assert model_size(config, bundle) == built


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder_fits_and_counts_in(bundle: DataBundle, name: str) -> None:
    vector = Modality(name="age", kind="vector", shape=(5,))
    there = (*bundle.modalities, vector)
    (modality, *_) = (m for m in there if m.kind in ENCODERS[name].kinds)
    one = Description(modalities=(modality,), tasks=bundle.tasks, fingerprint="")
    problems: list[Problem] = []
    config = resolve_model({"encoders": {modality.name: name}, "width": 16}, one, (), problems)
    assert not problems
    assert not list(misfits(config, one))
    built = sum(parameter.numel() for parameter in build_model(config, one).parameters())
    assert model_size(config, one) == built


def wrong(
    bundle: DataBundle, modality: Modality = IMAGE, image: object = "lenet", **parts: Any
) -> list[Problem]:
    """The misfits of a model of that image with that encoder and a text; `parts` as in a suite."""
    text = bundle.modality("text")
    description = Description(modalities=(modality, text), tasks=bundle.tasks, fingerprint="")
    model = {"encoders": {"image": image, "text": "lstm"}, **parts}
    problems: list[Problem] = []
    config = resolve_model(model, description, (), problems)
    assert not problems
    found = list(misfits(config, description))
    return found


def test_an_input_that_is_too_small_is_told_with_its_stage(bundle: DataBundle) -> None:
    tiny = replace(IMAGE, shape=(1, 3, 28))
    (problem,) = wrong(bundle, tiny, image={"name": "lenet", "channels": 4})
    text = "encoder 'lenet' does not fit image of shape [1, 3, 28]: its stage 'conv2' would give "
    assert problem == Problem(("encoders", "image"), f"{text}[8, 0, 7]", combination=True)


def test_an_absurd_size_is_told_and_nothing_is_allocated(bundle: DataBundle) -> None:
    (problem,) = wrong(bundle, image={"name": "lenet", "channels": 2**40})
    text = "encoder 'lenet' does not fit image of shape [1, 28, 28]: "
    assert problem.message.startswith(text)
    assert problem.combination
    assert torch.get_default_device() == torch.device("cpu")


class Refuses(Sum):
    def __init__(self, dims: dict[str, int], out_dim: int) -> None:
        raise ValueError("only\neven dims")


class Fails(Sum):
    def __init__(self, dims: dict[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        raise KeyError("gate")


class Reads(Sum):
    def __init__(self, dims: dict[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.rates = torch.linspace(0, 1, 3).tolist()


class Bare(LeNet):
    def __init__(self, modality: Modality, width: int) -> None:
        super().__init__(modality, width)
        self.stages["conv1"] = nn.Identity()


class Counts(Hard):
    @classmethod
    def path_count(cls, num_tasks: int, **settings: object) -> int:
        return num_tasks / 2  # type: ignore[return-value]


class Deeper(Sum):
    def __init__(self, dims: dict[str, int], out_dim: int, *, layers: int = 1) -> None:
        super().__init__(dims, out_dim)
        self.more = nn.ModuleList(nn.Linear(out_dim, out_dim) for _ in range(layers))


@pytest.mark.parametrize(
    ("registry", "component", "place", "told", "combination"),
    [
        (FUSIONS, Refuses, ("fusion",), "fusion 'mine': only even dims", True),
        (FUSIONS, Fails, ("fusion",), "fusion 'mine': KeyError: 'gate' ({file}:{line})", False),
        (ENCODERS, Bare, ("encoders", "image"), "its stage 'conv1' must be a Stage", False),
        (SHARINGS, Counts, ("sharing",), "`path_count` must give a whole number of", False),
    ],
)
def test_a_part_that_cannot_be_made(
    bundle: DataBundle,
    monkeypatch: pytest.MonkeyPatch,
    registry: dict[str, Any],
    component: Any,
    place: tuple[str, ...],
    told: str,
    combination: bool,
) -> None:
    monkeypatch.setitem(registry, "mine", component)
    parts: dict[str, Any] = {"image" if registry is ENCODERS else place[0]: "mine"}
    (problem,) = wrong(bundle, **parts)
    lines, start = inspect.getsourcelines(component)
    line = start + len(lines) - 1
    assert problem.path == place
    assert told.format(file=__file__, line=line) in problem.message
    assert "\n" not in problem.message
    assert problem.combination is combination


def test_a_part_that_reads_its_tensors_has_no_size_before_it_is_built(
    bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FUSIONS, "mine", Reads)
    given = {"encoders": {"image": "lenet", "text": "lstm"}, "fusion": "mine"}
    config = resolve_model(given, bundle, (), [])
    assert not list(misfits(config, bundle))
    assert model_size(config, bundle) is None


def test_what_a_subclass_adds_is_counted(
    bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FUSIONS, "mine", Deeper)
    given = {"encoders": {"image": "lenet", "text": "lstm"}, "width": 8}
    plain = resolve_model({**given, "fusion": "sum"}, bundle, (), [])
    size = model_size(plain, bundle)
    assert size is not None
    for layers in (0, 2):
        deeper = {**given, "fusion": {"name": "mine", "layers": layers}}
        added = layers * (8 * 8 + 8)
        assert model_size(resolve_model(deeper, bundle, (), []), bundle) == size + added
