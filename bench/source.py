"""Hashes of the source a unit of work runs through."""

from __future__ import annotations

import importlib.util
import inspect
from functools import cache
from pathlib import Path

from mtmm.components import REGISTRIES, registration
from mtmm.settings import Component
from mtmm.source import combine, file_hash, tree_hash

TRAINING_CORE = (
    "bench.checkpoint",
    "bench.diagnostics",
    "bench.evaluation",
    "bench.frozen",
    "bench.loading",
    "bench.missing",
    "bench.numerics",
    "bench.optimization",
    "bench.robustness",
    "bench.selection",
    "bench.step",
    "bench.training",
    "mtmm.attention",
    "mtmm.configuration",
    "mtmm.descent",
    "mtmm.encoders.base",
    "mtmm.fusion.base",
    "mtmm.gradients",
    "mtmm.heads.base",
    "mtmm.heads.decision",
    "mtmm.heads.judging",
    "mtmm.model",
    "mtmm.paths",
    "mtmm.seeding",
    "mtmm.sharing.base",
    "mtmm.spaces",
    "mtmm.spec",
    "mtmm.weighting.base",
    "mtmm.weighting.gramian",
    "mtmm.weighting.jacobian",
    "mtmm.weighting.making",
    "mtmm.weighting.usage",
)
"""The modules every train cell runs through, besides its components."""

TIMING_CORE = (
    "bench.failure",
    "bench.rounds",
    "bench.statistics",
    "bench.timing.block",
    "bench.timing.clock",
    "bench.timing.flops",
    "bench.timing.memory",
    "bench.timing.parts",
    "bench.timing.phases",
    "bench.timing.pipeline",
    "bench.timing.reference",
    "bench.timing.sampler",
    "bench.timing.samples",
    "bench.timing.sensors",
    "bench.timing.summary",
    "bench.timing.workload",
)
"""The modules a timing block runs through, besides the training core."""

PROFILING_CORE = (
    "bench.profiling.activity",
    "bench.profiling.attribution",
    "bench.profiling.findings",
    "bench.profiling.joining",
    "bench.profiling.kernels",
    "bench.profiling.kinds",
    "bench.profiling.memory",
    "bench.profiling.nesting",
    "bench.profiling.parts",
    "bench.profiling.scopes",
    "bench.profiling.session",
    "bench.profiling.summary",
    "bench.profiling.trace",
    "bench.profiling.work",
)
"""The modules a profile is made and read by, besides the training core."""


@cache
def module_hash(module: str) -> str:
    """SHA-256 over a module's syntax tree without docstrings."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return file_hash(spec.origin)


def named_hash(kind: str, name: str) -> str:
    """The hash of a component's source: of its module, or as it was when a user registered it."""
    own = registration(kind, name)
    return component_hash(REGISTRIES[kind][name]) if own is None else own.source


@cache
def component_hash(component: Component) -> str:
    """The hash of the module that defines the component, and of those that it is built on."""
    return tree_hash(Path(inspect.getfile(inspect.unwrap(component))))


@cache
def core_hash(modules: tuple[str, ...]) -> str:
    """One hash over these modules."""
    return combine(map(module_hash, modules))
