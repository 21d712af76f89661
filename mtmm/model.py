"""From a `model:` configuration to a network: encoders, fusion, sharing and heads put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from torch import Tensor, nn

from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.heads.base import Head
from mtmm.paths import Path
from mtmm.registry import raise_for, resolve, resolve_settings, settings_in
from mtmm.seeding import seeded
from mtmm.settings import Path as ConfigPath
from mtmm.settings import Problem, Range, found, listed, nearest
from mtmm.sharing import SHARINGS
from mtmm.sharing.base import Sharing
from mtmm.spec import Description, Modality, ModelOutput


class PathModel(nn.Module):
    """Paths wired to tasks by a sharing, and a head for each task."""

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.sharing = sharing
        self.independent = sharing.independent
        self.tasks = tuple(heads)
        self.heads = nn.ModuleList(heads.values())

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> ModelOutput:
        """Shapes: inputs `[B, *shape]`, present boolean `[B]`; outputs as the heads make them."""
        features, shared = self.sharing(inputs, present)
        outputs = {
            task: head(features[task]) for task, head in zip(self.tasks, self.heads, strict=True)
        }
        return ModelOutput(outputs=outputs, shared=shared, features=features)


def model_settings(
    *,
    fusion: str = "concat",
    sharing: str = "hard",
    width: Annotated[int, Range(low=1, high=65536)] = 64,
) -> None:
    """The settings of `model:` besides `encoders`; `width` is that of a path's feature."""


def resolve_model(
    config: Mapping[str, Any],
    description: Description,
    path: ConfigPath,
    problems: list[Problem],
) -> dict[str, Any]:
    """The model configuration with every default filled in; mistakes go to `problems`."""
    known = ("encoders", "fusion", "sharing", "width")
    for key in config:
        if key not in known:
            text = f"unknown key '{key}' of model{nearest(key, known)} (it has: {listed(known)})"
            problems.append(Problem((*path, key), text))
    width = {"width": config["width"]} if "width" in config else {}
    before = len(problems)
    resolved = {
        "encoders": _resolve_encoders(
            config.get("encoders", {}), description, (*path, "encoders"), problems
        ),
        "fusion": resolve(
            "fusion", FUSIONS, config.get("fusion", "concat"), (*path, "fusion"), problems
        ),
        "sharing": resolve(
            "sharing", SHARINGS, config.get("sharing", "hard"), (*path, "sharing"), problems
        ),
        "width": resolve_settings("model", model_settings, width, path, problems)["width"],
    }
    if len(description.modalities) == 1:
        # With one modality there is nothing to fuse, whatever the suite names.
        resolved["fusion"] = {"name": "none"}
    elif len(problems) == before:
        fusion = resolved["fusion"]
        try:
            FUSIONS[fusion["name"]].check(
                [modality.name for modality in description.modalities], settings_in(fusion)
            )
        except ValueError as error:
            problems.append(Problem((*path, "fusion"), str(error), combination=True))
    return resolved


def build_model(config: Mapping[str, Any], description: Description, *, seed: int = 0) -> nn.Module:
    """The network a `model:` configuration stands for, on the CPU.

    `description` is that of the data, or a `DataBundle`. Each part is initialised from the seed,
    its place and the tasks that use it, so that a path of `separate` starts as the task alone
    would. Raises ConfigError with everything that is wrong with `config`.
    """
    problems: list[Problem] = []
    resolved = resolve_model(config, description, (), problems)
    raise_for(problems)
    modalities = description.modalities
    tasks = tuple(task.name for task in description.tasks)

    def make_path(users: Sequence[str]) -> Path:
        encoders = [_build_encoder(resolved, modality, users, seed) for modality in modalities]
        dims = {m.name: encoder.dim for m, encoder in zip(modalities, encoders, strict=True)}
        fusion = resolved["fusion"]
        with seeded(seed, "fusion", *sorted(users)):
            built = FUSIONS[fusion["name"]](dims, resolved["width"], **settings_in(fusion))
        return Path(modalities, encoders, built)

    sharing = resolved["sharing"]
    wired = SHARINGS[sharing["name"]](make_path, tasks, **settings_in(sharing))
    heads = {}
    for task in description.tasks:
        make_head: Callable[..., Head] = HEADS[task.kind]
        with seeded(seed, "head", task.name):
            heads[task.name] = make_head(resolved["width"], task)
    return PathModel(wired, heads)


def _build_encoder(
    resolved: Mapping[str, Any], modality: Modality, users: Sequence[str], seed: int
) -> Encoder:
    config = resolved["encoders"][modality.name]
    make_encoder: Callable[..., Encoder] = ENCODERS[config["name"]]
    with seeded(seed, "encoder", modality.name, *sorted(users)):
        return make_encoder(modality, resolved["width"], **settings_in(config))


def _resolve_encoders(
    config: object, description: Description, path: ConfigPath, problems: list[Problem]
) -> dict[str, Any]:
    if not isinstance(config, dict):
        text = f"must map modalities to encoders; found {found(config)}"
        problems.append(Problem(path, text))
        return {}
    resolved = {}
    for modality in description.modalities:
        fitting = [name for name, encoder in ENCODERS.items() if modality.kind in encoder.kinds]
        if modality.name not in config:
            text = f"no encoder for modality '{modality.name}' (choose from: {listed(fitting)})"
            problems.append(Problem(path, text))
            continue
        place = (*path, modality.name)
        encoder = resolve("encoder", ENCODERS, config[modality.name], place, problems)
        if encoder and encoder["name"] not in fitting:
            text = (
                f"encoder '{encoder['name']}' does not read {modality.kind} "
                f"(those that do: {listed(fitting)})"
            )
            problems.append(Problem(place, text))
        resolved[modality.name] = encoder
    return resolved
