from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import mtmm
from mtmm.components import (
    REGISTRIES,
    RegistrationError,
    register,
    registered,
    registration,
    restore,
    snapshot,
)
from mtmm.data.base import Dataset
from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder, Plain
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion
from mtmm.fusion.sum import Sum
from mtmm.heads.base import Head, Metric, Objective
from mtmm.heads.classification import Classification, ClassificationHead
from mtmm.settings import Range
from mtmm.sharing.base import Sharing
from mtmm.sharing.hard import Hard
from mtmm.source import tree_hash
from mtmm.spec import DataBundle, Description, Modality, ModelOutput
from mtmm.weighting.base import Weighting
from mtmm.weighting.equal import Equal
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.jacobian import JacobianWeighting
from mtmm.weighting.pcgrad import PCGrad


@pytest.fixture(autouse=True)
def _unregistered_after() -> Iterator[None]:
    before = snapshot()
    yield
    restore(before)


def describe(*, size: int = 1) -> Description:
    raise NotImplementedError


def build(*, size: int = 1) -> DataBundle:
    raise NotImplementedError


class Wide(Encoder):
    kinds = frozenset({"spectrum"})

    def __init__(self, modality: Modality, width: int, *, scale: float = 1.0) -> None:
        super().__init__({"all": Plain(nn.Linear(modality.shape[0], width), (width,))})


class Whole(nn.Module):
    def __init__(self, bundle: DataBundle, *, width: int = 3) -> None:
        super().__init__()

    def forward(self, inputs: dict[str, Tensor], present: dict[str, Tensor]) -> ModelOutput:
        raise NotImplementedError


EXAMPLES: dict[str, Any] = {
    "dataset": Dataset(build, describe),
    "encoder": Wide,
    "fusion": Sum,
    "sharing": Hard,
    "weighting": Equal,
    "head": ClassificationHead,
    "model": Whole,
}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_component_of_every_kind_gets_its_name_and_comes_back_unchanged(kind: str) -> None:
    component = EXAMPLES[kind]
    assert register(kind, "mine")(component) is component
    assert REGISTRIES[kind]["mine"] is component
    (told,) = registered()
    assert (told.kind, told.name, told.module, told.file) == (kind, "mine", __name__, __file__)
    assert registration(kind, "mine") == told
    assert told.source == tree_hash(Path(__file__), __package__ or "")


def test_the_library_offers_register() -> None:
    assert mtmm.register is register


def test_the_registries_are_those_that_everything_reads() -> None:
    register("fusion", "mine")(Sum)
    assert FUSIONS["mine"] is Sum
    assert REGISTRIES["encoder"] is ENCODERS


def test_what_comes_with_the_library_has_no_registration() -> None:
    assert registration("fusion", "sum") is None
    assert registered() == ()


def test_restoring_takes_a_registration_back() -> None:
    before = snapshot()
    register("fusion", "mine")(Sum)
    restore(before)
    assert "mine" not in FUSIONS
    assert registered() == ()


class NoForward(Fusion):
    pass


class Positional(Fusion):
    def __init__(self, dims: dict[str, int], out_dim: int, rank: int = 2) -> None: ...

    def forward(self, features: Any, present: Any = None) -> Tensor:
        raise NotImplementedError


def fusion(init: Callable[..., None]) -> type[Fusion]:
    return type("Mine", (Sum,), {"__init__": init, "__qualname__": "Mine"})


def _open(self: Any, dims: Any, out_dim: int, **settings: Any) -> None: ...
def _renamed(self: Any, sizes: Any, out_dim: int) -> None: ...
def _bare(self: Any, dims: Any, out_dim: int, *, rank=2) -> None: ...  # type: ignore[no-untyped-def]
def _needed(self: Any, dims: Any, out_dim: int, *, rank: int) -> None: ...
def _tensor(self: Any, dims: Any, out_dim: int, *, rank: Tensor | None = None) -> None: ...
def _untyped_list(self: Any, dims: Any, out_dim: int, *, rank: list = []) -> None: ...  # type: ignore[type-arg] # noqa: B006
def _keys(self: Any, dims: Any, out_dim: int, *, ranks: dict[int, int] | None = None) -> None: ...
def _marked(self: Any, dims: Any, out_dim: int, *, rank: Annotated[int, "rank"] = 1) -> None: ...
def _default(self: Any, dims: Any, out_dim: int, *, rank: int = 2.5) -> None: ...  # type: ignore[assignment]
def _low(self: Any, dims: Any, out_dim: int, *, rank: Annotated[int, Range(low=1)] = 0) -> None: ...
def _named(self: Any, dims: Any, out_dim: int, *, name: str = "x") -> None: ...
def _unknown(self: Any, dims: Any, out_dim: int, *, rank: Nowhere = 1) -> None: ...  # type: ignore[name-defined] # noqa: F821


def method(kind: str, name: str, function: Any) -> Any:
    """The example of a kind with one method of its own."""
    return type("Mine", (EXAMPLES[kind],), {name: function})


def judge(name: str, function: Any) -> type[Head]:
    return head(type("Judge", (Classification,), {name: function}))


class Rooms(Hard):
    def __init__(self, make_path: Any, tasks: Any, *, rooms: int = 1) -> None: ...

    @classmethod
    def path_count(cls, num_tasks: int) -> int:  # type: ignore[override]
        raise NotImplementedError


class NoKinds(Encoder):
    pass


class WordKinds(Wide):
    kinds = "spectrum"  # type: ignore[assignment]


class Unlearned(Equal):
    learned = ("rate",)


class Unsolved(GramianWeighting):
    pass


class Uncombined(JacobianWeighting):
    pass


class Spaceless(PCGrad):
    space = None


class Spaced(Equal):
    def __init__(self, *, space: float = 1.0) -> None: ...


class Alone(Hard):
    independent = True


class NoObjective(ClassificationHead):
    objective = None  # type: ignore[assignment]


class NotPrimary(Classification):
    primary = "f1"


class Backwards(Classification):
    metrics: ClassVar[dict[str, Metric]] = {"accuracy": Metric(higher_is_better=False, ideal=0.0)}


class Empty(Objective):
    metrics: ClassVar[dict[str, Metric]] = {}
    primary = ""


def head(judge: type[Objective]) -> type[Head]:
    return type("Mine", (ClassificationHead,), {"objective": judge})


def other(*, size: int = 2) -> Description:
    raise NotImplementedError


def needy(path: str) -> DataBundle:
    raise NotImplementedError


class NoModelForward(nn.Module):
    def __init__(self, bundle: DataBundle) -> None: ...


@pytest.mark.parametrize(
    ("kind", "component", "text"),
    [
        ("fusion", Equal, "must be a subclass of mtmm.fusion.base.Fusion; found <class"),
        ("fusion", 3, "must be a subclass of mtmm.fusion.base.Fusion; found 3"),
        ("fusion", NoForward, "must define `forward`; found that of Fusion"),
        ("fusion", Positional, "settings by keyword: write `*, ` before `rank=2`"),
        ("fusion", fusion(_open), "must name what it takes; found `**settings`"),
        ("fusion", fusion(_renamed), "must take (dims, out_dim); found (sizes, out_dim)"),
        ("fusion", fusion(_bare), "setting `rank` needs an annotation and a default; found"),
        ("fusion", fusion(_needed), "setting `rank` needs an annotation and a default; found"),
        ("fusion", fusion(_tensor), "found <class 'torch.Tensor'>"),
        ("fusion", fusion(_untyped_list), "found <class 'list'>"),
        ("fusion", fusion(_keys), "found dict[int, int]"),
        ("fusion", fusion(_marked), "found 'rank'"),
        ("fusion", fusion(_default), "the default of setting `rank` must be a whole number"),
        ("fusion", fusion(_low), "the default of setting `rank` must be a whole number at least 1"),
        ("fusion", fusion(_named), "cannot have a setting `name`"),
        ("fusion", fusion(_unknown), "name 'Nowhere' is not defined"),
        ("encoder", NoKinds, "must say in `kinds` which kinds of modalities it reads, as a set"),
        ("encoder", WordKinds, "as a set; found 'spectrum'"),
        ("sharing", Sharing, "must define `forward`"),
        ("sharing", Alone, "is `independent` and must define `islands`"),
        ("weighting", Weighting, "must define `step`"),
        ("weighting", Unlearned, "must define `parameter_gradients`"),
        ("weighting", Unsolved, "must define `solve`; found that of GramianWeighting"),
        ("weighting", Uncombined, "must define `combine`; found that of JacobianWeighting"),
        ("weighting", Spaceless, "`space` must be one of its `spaces` (last, theta, z)"),
        ("weighting", Spaced, "cannot have a setting `space`: all of its kind have one"),
        (
            "weighting",
            type("Mine", (PCGrad,), {"step": lambda self, state, losses: 1}),
            "must take the call `step(state, losses, gramian)`",
        ),
        ("head", Head, "must define `forward`"),
        ("head", NoObjective, "must name its Objective subclass in `objective`; found None"),
        ("head", head(NotPrimary), "must be one of accuracy, balanced_accuracy; found 'f1'"),
        ("head", head(Empty), "its objective must define `loss`; found that of Objective"),
        ("head", head(Backwards), "metric 'accuracy' must mean what it does for classification"),
        (
            "fusion",
            method("fusion", "forward", lambda self, x: x),
            "must take the call `forward(features, present)`; found `forward(self, x)`",
        ),
        (
            "fusion",
            method("fusion", "check", staticmethod(lambda modalities: None)),
            "must take the call `check(modalities, settings)`; found `check(modalities)`",
        ),
        ("encoder", method("encoder", "forward", lambda self, x: x), "the call `forward(x, mask)`"),
        ("sharing", method("sharing", "forward", lambda self, x: x), "`forward(inputs, present)`"),
        (
            "sharing",
            Rooms,
            "must take the call `path_count(num_tasks, rooms=)`; found `path_count(",
        ),
        ("weighting", method("weighting", "step", lambda self, losses: 1), "`step(state, losses)`"),
        (
            "weighting",
            method("weighting", "init", lambda self, tasks: {}),
            "must take the call `init(num_tasks, device=, dtype=)`; found `init(self, tasks)`",
        ),
        ("head", method("head", "forward", lambda self, x, y: x), "the call `forward(features)`"),
        (
            "head",
            judge("loss", lambda self, output, target: 1),
            "its objective must take the call `loss(output, target, labelled)`; found `loss(self,",
        ),
        ("model", method("model", "forward", lambda self, x: x), "`forward(inputs, present)`"),
        ("model", method("model", "parts", lambda self, deep: {}), "must take the call `parts()`"),
        ("model", nn.Module, "must define `forward`"),
        ("model", NoModelForward, "must define `forward`"),
        ("model", nn.Linear, "must take (bundle); found (in_features, out_features)"),
        ("dataset", build, "must be an mtmm.data.base.Dataset(build, describe); found <function"),
        ("dataset", Dataset(build, other), "found (size=1) and (size=2)"),
        ("dataset", Dataset(needy, needy), "`build` must take (); found (path)"),
    ],
)
def test_what_breaks_the_contract_is_refused(kind: str, component: Any, text: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        register(kind, "mine")(component)
    message = str(caught.value)
    assert message.startswith(f"{kind} 'mine' ")
    assert text in message
    assert "\n" not in message
    assert "mine" not in REGISTRIES[kind]
    assert registered() == ()


@pytest.mark.parametrize("name", ["", "3d", "my-fusion", "a.b", "naïve", "a b", None])
def test_bad_names(name: Any) -> None:
    with pytest.raises(RegistrationError, match="a name is letters, digits and '_'"):
        register("fusion", name)


def test_an_unknown_kind() -> None:
    with pytest.raises(RegistrationError, match="'fussion'; did you mean 'fusion'"):
        register("fussion", "mine")


PLUGIN = """
from mtmm import register
from mtmm.fusion.sum import Sum

@register("fusion", "mine")
class Mine(Sum):
    def forward(self, features, present=None):
        return {factor} * super().forward(features, present)
"""


def run(text: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    exec(compile(text, str(file), "exec"), {"__name__": file.stem, "__file__": str(file)})


def test_the_same_file_again_replaces_what_it_registered(tmp_path: Path) -> None:
    run(PLUGIN.format(factor=2), tmp_path / "one.py")
    first, before = FUSIONS["mine"], registered()
    run(PLUGIN.format(factor=3), tmp_path / "one.py")
    assert FUSIONS["mine"] is not first
    (told,) = registered()
    assert told.source != before[0].source


def test_names_that_are_taken(tmp_path: Path) -> None:
    run(PLUGIN.format(factor=2), tmp_path / "one.py")
    with pytest.raises(RegistrationError, match=r"there already: as Mine in .*one\.py"):
        run(PLUGIN.format(factor=2), tmp_path / "two.py")
    with pytest.raises(RegistrationError, match="fusion 'sum' is there already: it comes with"):
        run(PLUGIN.replace('"mine"', '"sum"').format(factor=2), tmp_path / "two.py")
    assert registered()[0].file == str(tmp_path / "one.py")


def test_two_components_of_a_file_cannot_share_a_name(tmp_path: Path) -> None:
    twice = PLUGIN + PLUGIN.replace("class Mine", "class Other")
    with pytest.raises(RegistrationError, match=r"there already: as Mine in .*one\.py"):
        run(twice.format(factor=2), tmp_path / "one.py")


def test_a_registered_fusion_needs_no_formula_for_its_parameters() -> None:
    class Mine(Fusion):
        def __init__(self, dims: dict[str, int], out_dim: int, *, layers: int = 1) -> None:
            super().__init__(dims, out_dim)
            self.layers = nn.ModuleList(nn.Linear(out_dim, out_dim) for _ in range(layers))

        def forward(self, features: Any, present: Any = None) -> Tensor:
            return torch.zeros(())

    assert Mine.parameter_count({"a": 2}, 3, layers=2) == 2 * (3 * 3 + 3)
