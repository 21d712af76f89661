"""What every fusion must do, as functions that say what one does not.

`broken` runs all of them over a class; `INVARIANTS` holds them by name. Each catches a mistake
that published fusions have been found with.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mtmm.blame import blame
from mtmm.fusion.base import Fusion
from mtmm.settings import Component, settings_of

OUT_DIM = 8
SAMPLES = 5
DIMS = {"b": 4, "a": 3, "c": 2}
TOKENS = {"b": 3, "a": 4, "c": 5}


@dataclass(frozen=True, slots=True)
class Case:
    """A fusion of modalities of some widths, with some settings."""

    make: Callable[..., Fusion]
    dims: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    out_dim: int = OUT_DIM

    @property
    def level(self) -> str:
        """The level of the fusion."""
        level: str = getattr(self.make, "level", "feature")
        return level

    def build(self, seed: int = 0) -> Fusion:
        """The fusion, initialised from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make(dict(self.dims), self.out_dim, **self.settings)

    def wide(self, out_dim: int = 64) -> Case:
        """The same with a wider output: of a maximum each modality has then some part."""
        if self.level == "decision":
            return replace(self, dims=dict.fromkeys(self.dims, out_dim), out_dim=out_dim)
        return replace(self, out_dim=out_dim)

    def features(self, size: int = SAMPLES) -> dict[str, Tensor]:
        """Standard normal inputs of the fusion's level."""
        generator = torch.Generator().manual_seed(1)
        shapes = {
            name: (size, TOKENS.get(name, 3), dim) if self.level == "token" else (size, dim)
            for name, dim in self.dims.items()
        }
        return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    def present(self, absent: str | None = None, *, size: int = SAMPLES) -> dict[str, Tensor]:
        """Which samples have which modality: all, but for those of `absent`."""
        return {name: torch.full((size,), name != absent) for name in self.dims}


Invariant = Callable[[Case], Iterator[str]]
"""Yields what is wrong; nothing where the fusion does what it must."""


def cases_of(make: type[Fusion]) -> list[Case]:
    """Two and three modalities, as far as the class allows them; one where it takes no more."""
    found = []
    component: Component = make
    defaults = {name: setting.default for name, setting in settings_of(component).items()}
    for count in (1, 2, 3):
        dims = dict(list(DIMS.items())[:count])
        if make.level == "decision":
            dims = dict.fromkeys(dims, OUT_DIM)
        try:
            make.check(list(dims), defaults)
        except ValueError:
            continue
        if count > 1 or make.max_modalities == 1:
            found.append(Case(make, dims))
    return found


def broken(make: type[Fusion]) -> list[tuple[str, str]]:
    """Name of every invariant that the class breaks, and how; an exception breaks one, too."""
    told: dict[str, str] = {}
    try:
        cases = cases_of(make)
    except Exception as error:
        return [("check", f"raised {blame(error)}")]
    for case in cases:
        for name, invariant in INVARIANTS.items():
            try:
                wrong = next(invariant(case), None)
            except (Exception, SystemExit) as error:
                wrong = f"raised {blame(error)}"
            if wrong is not None and name not in told:
                told[name] = f"{wrong} (modalities: {', '.join(case.dims)})"
    return list(told.items())


def parameter_count(case: Case) -> Iterator[str]:
    """`parameter_count` tells the truth."""
    for out_dim in (OUT_DIM, 12, 16):
        sized = case.wide(out_dim)
        made = sized.build()
        count: Callable[..., int] = type(made).parameter_count
        said = count(dict(sized.dims), out_dim, **case.settings)
        there = sum(parameter.numel() for parameter in made.parameters())
        if said != there:
            yield f"`parameter_count` says {said} at width {out_dim}; the module registers {there}"


def registered_parameters(case: Case) -> Iterator[str]:
    """What it computes with and learns is registered: no plain list, no layer made in forward."""
    fusion = case.build()
    known = {id(parameter) for parameter in fusion.parameters()}
    strange = [leaf for leaf in _leaves(fusion(case.features())) if id(leaf) not in known]
    if strange:
        shapes = ", ".join(str(list(leaf.shape)) for leaf in strange[:3])
        yield f"computes with {len(strange)} tensors that are no registered parameters: {shapes}"


def gradients(case: Case) -> Iterator[str]:
    """Every parameter gets a gradient that is not zero."""
    fusion = case.build()
    out = fusion(case.features())
    if out.requires_grad:
        (out * torch.randn_like(out)).sum().backward()
    for name, parameter in fusion.named_parameters():
        if parameter.grad is None or not (parameter.grad != 0).any():
            yield f"parameter `{name}` gets no gradient"


def repeatable(case: Case) -> Iterator[str]:
    """In evaluation mode the same input gives the same output."""
    fusion = case.build().eval()
    if not torch.equal(fusion(case.features()), fusion(case.features())):
        yield "two calls in evaluation mode differ"


def output_shape(case: Case) -> Iterator[str]:
    """The output is `[B, out_dim]`, for one sample too."""
    fusion = case.build()
    for size in (SAMPLES, 1):
        shape = list(fusion(case.features(size)).shape)
        if shape != [size, case.out_dim]:
            yield f"the output of {size} samples must be {[size, case.out_dim]}; found {shape}"


def batch_independence(case: Case) -> Iterator[str]:
    """A sample's output does not depend on the others of its batch."""
    fusion = case.build().eval()
    features = case.features()
    together = fusion(features)
    for i in range(SAMPLES):
        alone = fusion({name: value[i : i + 1] for name, value in features.items()})
        if alone.shape != together[i : i + 1].shape or not _close(alone, together[i : i + 1]):
            yield f"sample {i} alone gives another output than in a batch"


def every_modality_matters(case: Case) -> Iterator[str]:
    """The output depends on each modality."""
    case = case.wide()
    fusion, features = case.build().eval(), case.features()
    before = fusion(features)
    for name in case.dims:
        after = fusion({**features, name: _changed(features[name])})
        if not ((after - before).abs().amax(1) > 1e-4).all():
            yield f"the output does not depend on modality '{name}'"


def attention_matters(case: Case) -> Iterator[str]:
    """Where tokens attend to tokens, what one modality adds depends on the others: on the query.

    Attention to a single key, or by an ignored query, would only add.
    """
    if case.level != "token":
        return
    case = case.wide()
    fusion, features = case.build().eval(), case.features()
    names = list(case.dims)
    for one, other in pairwise(names):
        changed = {name: _changed(features[name]) for name in (one, other)}
        both = fusion({**features, **changed})
        first = fusion({**features, one: changed[one]})
        second = fusion({**features, other: changed[other]})
        if not ((both - first - second + fusion(features)).abs().amax(1) > 1e-4).all():
            yield f"what '{other}' adds does not depend on '{one}'"


def modality_order(case: Case) -> Iterator[str]:
    """The order in which modalities are given does not matter."""
    turned = replace(case, dims=dict(reversed(list(case.dims.items()))))
    features, some = case.features(), case.present(next(iter(case.dims)))
    swapped = dict(reversed(features.items()))
    for fusion in (case.build().eval(), turned.build().eval()):
        for present in (None, some):
            if not torch.equal(fusion(swapped, present), case.build().eval()(features, present)):
                yield "another order of the modalities gives another output"


def all_present(case: Case) -> Iterator[str]:
    """No mask means that everything is there."""
    fusion = case.build().eval()
    if not _close(fusion(case.features(), case.present()), fusion(case.features())):
        yield "`present` all true differs from no `present`"


def absence_matters(case: Case) -> Iterator[str]:
    """Without a modality the output is another."""
    case = case.wide()
    fusion = case.build().eval()
    for name in case.dims:
        difference = fusion(case.features(), case.present(name)) - fusion(case.features())
        if not (difference.abs().amax(1) > 1e-4).all():
            yield f"the absence of '{name}' changes nothing"


def absent_content(case: Case) -> Iterator[str]:
    """What an absent modality holds, garbage or NaN, changes neither output nor gradient."""
    fusion = _randomised(case)
    some = torch.arange(SAMPLES) % 2 == 0
    for name in case.dims:
        for there in (some, torch.zeros_like(some)):
            present = {**case.present(), name: there}
            clean = _outcome(fusion, case, present, name, 0.0)
            for garbage in (math.nan, math.inf, 1e30):
                told = _outcome(fusion, case, present, name, garbage)
                if not all(map(_same, told, clean)):
                    yield f"{garbage} in an absent '{name}' changes the output or a gradient"


def padding(case: Case) -> Iterator[str]:
    """Tokens that are padding, and how many there are, change neither output nor gradient."""
    if case.level != "token":
        return
    fusion, features = case.build().eval(), case.features()
    masks = {name: _mask(value) for name, value in features.items()}
    clean = fusion(features, None, masks)
    for name, value in features.items():
        for garbage in (math.nan, 1e30):
            dirty = torch.where(masks[name][:, :, None], value, garbage)
            if not _same(fusion({**features, name: dirty}, None, masks), clean):
                yield f"{garbage} in padding of '{name}' changes the output"
        longer = torch.nn.functional.pad(value, (0, 0, 0, 2), value=3.0)
        mask = torch.nn.functional.pad(masks[name], (0, 2))
        if not _close(fusion({**features, name: longer}, None, {**masks, name: mask}), clean):
            yield f"more padding of '{name}' changes the output"


def nothing_present(case: Case) -> Iterator[str]:
    """A sample without any modality has a finite output, the same as every other such sample."""
    fusion = case.build().eval()
    absent = {name: torch.zeros(SAMPLES, dtype=torch.bool) for name in case.dims}
    features = {name: torch.full_like(value, math.nan) for name, value in case.features().items()}
    out = fusion(features, absent)
    if not out.isfinite().all() or not _close(out, out[:1].expand_as(out)):
        yield f"samples without any modality give {out[:2].tolist()}"
    elif out.requires_grad:
        moved = list(fusion.parameters())
        for gradient in torch.autograd.grad(out.square().sum(), moved, allow_unused=True):
            if gradient is not None and not gradient.isfinite().all():
                yield "samples without any modality give gradients that are not finite"


def unit_variance(case: Case) -> Iterator[str]:
    """At initialisation unit-variance features give an output of variance near 1: 0.5 to 2."""
    if case.level == "decision":
        return
    case = replace(case, dims={name: 16 * dim for name, dim in case.dims.items()}, out_dim=64)
    outputs = [case.build(seed).eval()(case.features(256)) for seed in range(5)]
    moment = torch.stack(outputs).detach().square().mean().item()
    if not 0.5 <= moment <= 2:
        yield f"the output's second moment at initialisation must be near 1; found {moment:.3g}"


def state(case: Case) -> Iterator[str]:
    """A copy, and one that loads its state, give the same output."""
    fusion, other = case.build().eval(), case.build(seed=1).eval()
    other.load_state_dict(fusion.state_dict())
    for twin, how in ((copy.deepcopy(fusion), "copied"), (other, "loaded from its state")):
        if not torch.equal(twin(case.features()), fusion(case.features())):
            yield f"{how} it gives another output"


def modality_limit(case: Case) -> Iterator[str]:
    """More modalities than `max_modalities` are refused."""
    limit: int | None = getattr(case.make, "max_modalities", None)
    if limit is None:
        return
    try:
        replace(case, dims={str(i): 2 for i in range(limit + 1)}).build()
    except ValueError:
        return
    yield f"{limit + 1} modalities must raise ValueError: `max_modalities` is {limit}"


def autocast(case: Case) -> Iterator[str]:
    """Under autocast to bfloat16 the output stays about what it was."""
    fusion = case.build().eval()
    exact = fusion(case.features())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = fusion(case.features()).float()
    if not torch.allclose(rough, exact, rtol=0.05, atol=0.1):
        yield f"the output under autocast is off by {(rough - exact).abs().max().item():.3g}"


INVARIANTS: Mapping[str, Invariant] = {
    invariant.__name__: invariant
    for invariant in (
        parameter_count,
        registered_parameters,
        gradients,
        repeatable,
        output_shape,
        batch_independence,
        every_modality_matters,
        attention_matters,
        modality_order,
        all_present,
        absence_matters,
        absent_content,
        padding,
        nothing_present,
        unit_variance,
        state,
        modality_limit,
        autocast,
    )
}
"""Every invariant by name."""


def _changed(feature: Tensor) -> Tensor:
    # Not by a constant: softmax and layer normalisation ignore one.
    generator = torch.Generator().manual_seed(2)
    return feature + torch.randn(feature.shape, generator=generator)


def _randomised(case: Case) -> Fusion:
    """The fusion with every parameter drawn anew: biases, too, which are 0 at first."""
    fusion = case.build().eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return fusion


def _outcome(
    fusion: Fusion, case: Case, present: Mapping[str, Tensor], name: str, value: float
) -> list[Tensor]:
    """The output and all gradients, with `value` in the absent samples of a modality."""
    features = case.features()
    there = present[name].view(-1, *([1] * (features[name].dim() - 1)))
    features[name] = torch.where(there, features[name], value)
    leaves = [*fusion.parameters(), *(f.requires_grad_() for f in features.values())]
    out = fusion(features, present)
    told = torch.autograd.grad(out.square().sum(), leaves, allow_unused=True)
    return [out.detach(), *(gradient for gradient in told if gradient is not None)]


def _mask(tokens: Tensor) -> Tensor:
    """The last token of every other sample is padding."""
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    mask[::2, -1] = False
    return mask


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(one.isfinite().all()) and torch.equal(one, other)


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def _leaves(out: Tensor) -> list[Tensor]:
    """The tensors that a backward pass from `out` would give gradients to."""
    found, seen, queue = [], set(), [out.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        queue += [after for after, _ in node.next_functions]
    return found
