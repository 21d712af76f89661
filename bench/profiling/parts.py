"""What the work of each event of the host counts for: a part of the model, and a direction.

With ranges named `mtmm::<part>`, parts are theirs, and what is in none of them is unattributed.

A trace of other origin is named by what it has, the most telling first: the innermost range that a
person named (none that only says forward, backward, optimizer or step, or that a framework draws
around everything), else the innermost `nn.Module` (with `with_stack=True`), else the outermost
operator, such as `aten::conv2d`. Of such a trace all is forward that is neither backward nor
optimizer; where it names a range for the forward pass, what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.profiling.joining import ACCUMULATE, node_name
from bench.profiling.trace import ANNOTATION, HOST, MODULE, OPERATOR, Event, Trace

PREFIX = "mtmm::"
FORWARD, BACKWARD, OPTIMIZER, OTHER = "forward", "backward", "optimizer", "other"
DIRECTIONS = (FORWARD, BACKWARD, OPTIMIZER, OTHER)
ZERO_GRAD, GRAD_ACCUMULATE, UNATTRIBUTED = "zero_grad", "grad_accumulate", "unattributed"

_DIRECTIONS_OF = {
    "forward": FORWARD,
    "backward": BACKWARD,
    "optimizer": OPTIMIZER,
    "optimizer_step": OPTIMIZER,
    "clip": OPTIMIZER,
    "zero_grad": OTHER,
    "weighting": OTHER,
}
"""Names of ranges that are no forward work, or that say no more than a direction."""
_PHASES = {
    *("forward", "backward", "optimizer", "optimizer_step", "zero_grad"),
    *("step", "train", "train_step", "training", "training_step", "iteration"),
}
_FRAMEWORKS = (
    *("ProfilerStep#", "Optimizer.", "nccl:", "gloo:", "[pl][profile]"),
    *("DistributedDataParallel.", "FullyShardedDataParallel.", "FSDP::"),
)
_WRAPPED_FORWARD = ("DistributedDataParallel.forward", "FullyShardedDataParallel.forward")
_LOADING = "enumerate(DataLoader)"
_BY_OPERATOR, _BY_MODULE, _BY_RANGE, _BY_OPTIMIZER = 1, 2, 3, 4


class Belonging(NamedTuple):
    """What an event's work counts for; `part` is None where nothing has told yet.

    `teller` ranks what told the part. `settled` says that a node of the backward pass or the
    optimizer told the direction.
    """

    part: str | None = None
    direction: str = OTHER
    teller: int = 0
    settled: bool = False


def belongings(trace: Trace, made_by: Mapping[int, int]) -> list[Belonging]:
    """For each event of the host what its own work counts for; unknown for those of the device.

    `made_by` gives backward nodes their forward operators, as `joined` does.
    """
    ranges = {event.name for event in trace.events if event.category == ANNOTATION}
    ours = any(name.startswith(PREFIX) for name in ranges)
    told = _ours if ours else _foreign
    marked = any(_phase(name) == FORWARD for name in ranges)
    outermost = Belonging(direction=OTHER if ours or marked else FORWARD)
    found: list[Belonging] = []
    # What is around an event, and the forward operator of a node, stand before it.
    for i, event in enumerate(trace.events):
        parent = trace.parents[i]
        around = found[parent] if parent >= 0 else outermost
        node = node_name(event)
        if event.category not in HOST:
            found.append(Belonging())
        elif node is not None:
            forward = found[made_by[i]] if made_by.get(i, i) < i else Belonging()
            found.append(_of_node(node, forward))
        else:
            found.append(_of_optimizer(event) or told(event, around))
    return found


def _of_node(node: str, forward: Belonging) -> Belonging:
    own = GRAD_ACCUMULATE if ACCUMULATE in node else UNATTRIBUTED
    return Belonging(forward.part or own, BACKWARD, max(forward.teller, _BY_OPERATOR), True)


def _of_optimizer(event: Event) -> Belonging | None:
    if event.category == ANNOTATION and event.name.startswith("Optimizer.step#"):
        return Belonging(OPTIMIZER, OPTIMIZER, _BY_OPTIMIZER, True)
    if event.category == ANNOTATION and event.name.startswith("Optimizer.zero_grad#"):
        return Belonging(ZERO_GRAD, OTHER, _BY_OPTIMIZER, True)
    return None


def _ours(event: Event, around: Belonging) -> Belonging:
    if event.category != ANNOTATION or not event.name.startswith(PREFIX):
        return around
    part = event.name.removeprefix(PREFIX)
    if around.settled and around.direction == BACKWARD:
        return around._replace(part=part)  # run again by a checkpoint
    return Belonging(part, _DIRECTIONS_OF.get(part, FORWARD), _BY_RANGE)


def _foreign(event: Event, around: Belonging) -> Belonging:
    if event.category == ANNOTATION:
        phase = _phase(event.name)
        if phase is not None and not around.settled:
            around = around._replace(direction=phase)
        return _named(around, event.name, _BY_RANGE) if _is_telling(event.name) else around
    if event.category == MODULE:
        return _named(around, event.name.removeprefix("nn.Module: "), _BY_MODULE)
    if event.category == OPERATOR and around.teller < _BY_OPERATOR:
        return _named(around, event.name, _BY_OPERATOR)
    return around


def _named(around: Belonging, part: str, teller: int) -> Belonging:
    return around._replace(part=part, teller=teller) if teller >= around.teller else around


def _phase(name: str) -> str | None:
    """The direction that a foreign range stands for, or None."""
    if name in _WRAPPED_FORWARD:
        return FORWARD
    return OTHER if name.startswith(_LOADING) else _DIRECTIONS_OF.get(_bare(name))


def _is_telling(name: str) -> bool:
    return not name.startswith(_FRAMEWORKS) and _bare(name) not in _PHASES


def _bare(name: str) -> str:
    return name.strip("# ").lower().replace(" ", "_")
