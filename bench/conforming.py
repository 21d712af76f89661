"""Whether a model of one's own gives what training reads of it; told before the first step."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.numerics import Around, eager
from bench.step import task_losses
from mtmm.blame import blame
from mtmm.gradients import reached
from mtmm.heads.base import Objective
from mtmm.settings import listed
from mtmm.spec import Batch, DataBundle, ModelOutput, SharedSpace, Space

_SAMPLES = 4
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)


def check_model(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    bundle: DataBundle,
    device: torch.device,
    around: Around,
    space: Space | None,
) -> None:
    """Run the model on a few samples of train and look at what it returns.

    `space` is where its weighting takes task gradients. Raises ValueError, with the rule, where
    something will not do. No random number is drawn and no running statistic moves.
    """
    owner = _named(model)
    place = next(iter(bundle.train.labelled.values())).device
    few = torch.arange(min(_SAMPLES, len(bundle.train)), device=place)
    batch = bundle.train.take(few).to(device)
    training = model.training
    model.eval()
    try:
        # As a failure would be a compiler's, and a graph of this size is needed once.
        with eager(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            with around():
                output: object = model(batch.inputs, batch.present)
            _check_output(owner, output, objectives, bundle, batch, device)
            losses, shared = task_losses(model, objectives, batch, around)
    except RuntimeError as error:
        if not re.search(r"same device|expected device|should be the same", str(error)):
            raise
        text = "tensors that a model keeps must be parameters or buffers, which move with it"
        raise ValueError(f"{owner}: {text}; {blame(error)}") from error
    finally:
        model.train(training)
    _check_shared(owner, model, losses, shared, space)


def check_in_memory(model: nn.Module) -> None:
    """ValueError where a parameter or buffer holds nothing: it cannot come to any device."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            text = f"{_named(model)}: layers must be given the sizes of their inputs"
            raise ValueError(f"{text}; '{name}' is lazy")
        if tensor.is_meta:
            text = f"{_named(model)}: parameters must be on a device that holds their numbers"
            raise ValueError(f"{text}; '{name}' is on {tensor.device}")


def _named(model: nn.Module) -> str:
    """Its class, and where that is written."""
    kind = type(model)
    try:
        place = f" ({inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind.forward)[1]})"
    except (OSError, TypeError):  # of a class typed in
        place = ""
    return f"model '{kind.__name__}'{place}"


def _check_output(
    owner: str,
    output: object,
    objectives: Mapping[str, Objective],
    bundle: DataBundle,
    batch: Batch,
    device: torch.device,
) -> None:
    if not isinstance(output, ModelOutput):
        text = f"{owner}: `forward` must return an mtmm.spec.ModelOutput(outputs={{task: tensor}})"
        raise ValueError(f"{text}; found a {type(output).__name__}")
    missing = [task for task in objectives if task not in output.outputs]
    if missing:
        text = f"{owner}: `outputs` must have every task; {listed(missing)} is not there"
        raise ValueError(f"{text}, only {listed(output.outputs)}")
    if output.auxiliary:
        text = f"{owner}: `auxiliary` losses are not trained: `auxiliary` must be left empty"
        raise ValueError(f"{text}; found {listed(output.auxiliary)}")
    for task, objective in objectives.items():
        made, kind = output.outputs[task], objective.task.kind
        labels, known = bundle.train.targets[task], bundle.train.labelled[task]
        shape = [len(batch), *objective.constant(labels, known).shape]
        rule = f"{owner}: the output of task '{task}' must be a tensor {shape} on {device}"
        rule = f"{rule}, as its kind is '{kind}' and the batch has {len(batch)} samples"
        if not isinstance(made, Tensor):
            raise ValueError(f"{rule}; found a {type(made).__name__}")
        if list(made.shape) != shape or made.device.type != device.type:
            raise ValueError(f"{rule}; found {list(made.shape)} on {made.device}")
        if made.dtype not in _FLOATS:
            text = f"{owner}: the output of task '{task}' must be float32, or less under autocast"
            raise ValueError(f"{text}; found {made.dtype}")
        if not made.requires_grad:
            text = (
                f"{owner}: the output of task '{task}' must come from parameters that are trained"
            )
            raise ValueError(f"{text}; it has no gradient (is it detached, or computed without?)")


def _check_shared(
    owner: str,
    model: nn.Module,
    losses: Sequence[Tensor],
    shared: SharedSpace,
    space: Space | None,
) -> None:
    """What the model says its tasks share, against the graphs of the losses."""
    theta = [parameter for group in shared.theta.values() for parameter in group]
    own = set(model.parameters())
    if any(parameter not in own for parameter in theta):
        raise ValueError(f"{owner}: `shared_space` must name parameters of the model, all of them")
    has = {"theta": bool(theta), "z": bool(shared.z), "last": shared.last is not None, None: True}
    if not has[space]:
        told = "a `shared_space()`" if space != "z" else "the `shared` of its ModelOutput"
        text = f"{owner}: the weighting takes task gradients in {space}, which {told} has to name"
        raise ValueError(f"{text}; it has {listed(n for n, there in has.items() if there and n)}")
    if len(losses) < 2:
        return
    # Frozen parameters are in no graph.
    moved = {parameter for parameter in theta if parameter.requires_grad}
    users = sum(bool(moved.intersection(reached([loss]))) for loss in losses)
    if moved and users < 2:
        text = f"{owner}: at least two tasks must use the parameters in `theta`"
        raise ValueError(f"{text} of `shared_space`; found {users}")
    if space == "z":
        _check_cut(owner, losses, shared.z or (), moved)


def _check_cut(
    owner: str, losses: Sequence[Tensor], z: Sequence[Tensor], theta: set[nn.Parameter]
) -> None:
    """Every way from a loss to what tasks share has to go through z."""
    behind = theta or set(reached(z))
    around = behind.intersection(reached(losses, before=z))
    if around:
        text = f"{owner}: all that tasks share must go through the `z` of its ModelOutput"
        raise ValueError(f"{text}; {len(around)} of its parameters are reached around it")
    if any(z_i.grad_fn is not None and _leads_to(z_i, z) for z_i in z):
        raise ValueError(f"{owner}: no tensor of `z` may be computed from another of them")


def _leads_to(tensor: Tensor, others: Sequence[Tensor]) -> bool:
    """Whether another of the tensors is in the graph of this one."""
    nodes = {other.grad_fn for other in others if other is not tensor} - {None}
    seen, waiting = set[object](), [node for node, _ in tensor.grad_fn.next_functions]  # type: ignore[union-attr]
    while waiting:
        node = waiting.pop()
        if node in nodes:
            return True
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [earlier for earlier, _ in node.next_functions]
    return False
