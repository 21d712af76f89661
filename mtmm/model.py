"""From a `model:` configuration to a network: encoders, fusion, sharing and heads put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from mtmm.configuration import MODELS, resolve_model
from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion, Level
from mtmm.fusion.decision import DecisionFusion
from mtmm.heads import HEADS
from mtmm.heads.base import Head
from mtmm.heads.decision import DecisionHead
from mtmm.paths import Path, SideBySide
from mtmm.registry import raise_for, settings_in
from mtmm.seeding import seeded
from mtmm.settings import Problem
from mtmm.sharing import SHARINGS
from mtmm.sharing.base import Island, Sharing
from mtmm.spec import Description, Modality, ModelOutput, Task


class PathModel(nn.Module):
    """Paths wired to tasks by a sharing, and a head for each task."""

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.sharing = sharing
        self.tasks = tuple(heads)
        self.heads = nn.ModuleList(heads.values())

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> ModelOutput:
        """Shapes: inputs `[B, *shape]`, present boolean `[B]`; outputs as the heads make them."""
        features, shared = self.sharing(inputs, present)
        # A sharing that makes features of its own need not hand on who is there.
        features = {
            task: made if made.present is not None else replace(made, present=present)
            for task, made in features.items()
        }
        outputs = {
            task: head(features[task]) for task, head in zip(self.tasks, self.heads, strict=True)
        }
        return ModelOutput(outputs=outputs, shared=shared, features=features)

    def islands(self) -> list[Island]:
        """Tasks that cannot influence each other, each group with the parameters it uses."""
        heads = dict(zip(self.tasks, self.heads, strict=True))
        return [
            Island(tasks, [*shared, *(p for task in tasks for p in heads[task].parameters())])
            for tasks, shared in self.sharing.islands()
        ]

    def parts(self) -> dict[str, nn.Module]:
        """The modules by the part they belong to: `part_names` without the names of groups.

        A part of all paths at once holds the modules of every path.
        """
        paths = [module for module in self.sharing.modules() if isinstance(module, Path)]
        encoders: dict[str, list[nn.Module]] = {}
        for path in paths:
            for modality in path.modalities:
                encoders.setdefault(modality.name, []).extend(path.stages(modality.name))
        grouped: dict[str, list[nn.Module]] = {
            **{f"encoders.{name}": modules for name, modules in encoders.items()},
            "fusion": [
                *(path.fusion for path in paths if isinstance(path.fusion, Fusion)),
                *(head.fusion for head in self.heads if isinstance(head, DecisionHead)),
            ],
            "sharing": _outside_paths(self.sharing),
        }
        heads = zip(self.tasks, self.heads, strict=True)
        return {
            **{name: nn.ModuleList(modules) for name, modules in grouped.items()},
            **{
                f"heads.{task}": head.heads if isinstance(head, DecisionHead) else head
                for task, head in heads
            },
        }


def part_names(description: Description) -> tuple[str, ...]:
    """Every name that `train.freeze` and `train.lr_scale` know of a model put together from parts.

    `encoders` and `heads` stand for all names under them; `sharing` is what a sharing has beside
    its paths.
    """
    encoders = (f"encoders.{modality.name}" for modality in description.modalities)
    heads = (f"heads.{task.name}" for task in description.tasks)
    return ("encoders", *encoders, "fusion", "sharing", "heads", *heads)


def _outside_paths(module: nn.Module) -> list[nn.Module]:
    """What a module holds beside paths: submodules without one, and parameters of its own."""
    if isinstance(module, Path):
        return []
    if not any(isinstance(inner, Path) for inner in module.modules()):
        return [module]
    own = list(module.parameters(recurse=False))
    inside = [part for child in module.children() for part in _outside_paths(child)]
    return [nn.ParameterList(own), *inside] if own else inside


def build_model(config: Mapping[str, Any], description: Description, *, seed: int = 0) -> nn.Module:
    """The network a `model:` configuration stands for, on the CPU.

    `description` is that of the data, or a `DataBundle`, which is what whole models are made
    from. Each part is initialised from the seed, its place and the tasks that use it, so that a
    path of `separate` starts as the task alone would. What `config` says of modalities and tasks
    that are not there is left aside, for the data may be selected from more. Raises ConfigError
    with everything that is wrong with `config`.
    """
    problems: list[Problem] = []
    resolved = resolve_model(config, description, (), problems)
    raise_for(problems)
    if "name" in resolved:
        with seeded(seed, "model"):
            return MODELS[resolved["name"]](description, **settings_in(resolved))
    modalities = description.modalities
    tasks = tuple(task.name for task in description.tasks)
    fusion = resolved["fusion"]
    level = FUSIONS[fusion["name"]].level

    def make_path(users: Sequence[str], place: str = "") -> Path:
        # Without a place names are as they are for a path of those tasks alone.
        names = (*sorted(users), *([f"/{place}"] if place else []))
        encoders = [_build_encoder(resolved, modality, names, seed) for modality in modalities]
        if level == "decision":
            return Path(modalities, encoders, SideBySide())
        dims = fused_dims(modalities, encoders, level)
        with seeded(seed, "fusion", *names):
            built = FUSIONS[fusion["name"]](dims, resolved["width"], **settings_in(fusion))
        return Path(modalities, encoders, built)

    sharing = resolved["sharing"]
    with seeded(seed, "sharing"):  # what it has beside its paths
        wired = SHARINGS[sharing["name"]](make_path, tasks, **settings_in(sharing))
    heads: dict[str, nn.Module] = {}
    for task in description.tasks:
        if level == "decision":
            heads[task.name] = _build_decision(resolved, task, dims_of(wired), seed)
            continue
        with seeded(seed, "head", task.name):
            heads[task.name] = _make_head(resolved, resolved["width"], task)
    return PathModel(wired, heads)


def fused_dims(
    modalities: Sequence[Modality], encoders: Sequence[Encoder], level: Level
) -> dict[str, int]:
    """The widths of what a fusion of this level gets from each modality's encoder."""
    named = zip(modalities, encoders, strict=True)
    if level == "token":
        return {modality.name: encoder.token_dim for modality, encoder in named}
    return {modality.name: encoder.dim for modality, encoder in named}


def dims_of(sharing: Sharing) -> dict[str, int]:
    """The widths of the modalities' features, the same in every path."""
    path = next(module for module in sharing.modules() if isinstance(module, Path))
    encoders = [encoder for encoder in path.encoders if isinstance(encoder, Encoder)]
    return fused_dims(path.modalities, encoders, "decision")


def _build_decision(
    resolved: Mapping[str, Any], task: Task, dims: Mapping[str, int], seed: int
) -> DecisionHead:
    heads = []
    for name, dim in dims.items():
        with seeded(seed, "head", task.name, name):
            heads.append(_make_head(resolved, dim, task))
    with seeded(seed, "fusion", task.name):
        return DecisionHead(dims, heads, _decision_fusion(resolved["fusion"], task, dims))


def _decision_fusion(
    config: Mapping[str, Any], task: Task, dims: Mapping[str, int]
) -> DecisionFusion:
    chosen = FUSIONS[config["name"]]
    assert issubclass(chosen, DecisionFusion)
    make: Callable[..., DecisionFusion] = chosen
    further = {"feature_dims": dims} if chosen.reads_features else {}
    classes = dict.fromkeys(dims, task.classes)
    return make(classes, task.classes, **further, **settings_in(config))


def _make_head(resolved: Mapping[str, Any], dim: int, task: Task) -> Head:
    config = resolved["heads"][task.name]
    make: Callable[..., Head] = HEADS[config["name"]]
    return make(dim, task, **settings_in(config))


def _build_encoder(
    resolved: Mapping[str, Any], modality: Modality, names: Sequence[str], seed: int
) -> Encoder:
    config = resolved["encoders"][modality.name]
    make_encoder: Callable[..., Encoder] = ENCODERS[config["name"]]
    with seeded(seed, "encoder", modality.name, *names):
        encoder = make_encoder(modality, resolved["width"], **settings_in(config))
    if FUSIONS[resolved["fusion"]["name"]].level == "token":
        encoder.end_at_tokens()
    return encoder
