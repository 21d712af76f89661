"""Whether a model of one's own gives what training reads of it; told before the first step."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.numerics import Around, eager
from bench.step import task_losses
from mtmm.blame import blame
from mtmm.heads.base import Objective
from mtmm.settings import listed
from mtmm.spec import Batch, DataBundle, ModelOutput

_SAMPLES = 4


def check_model(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    bundle: DataBundle,
    device: torch.device,
    around: Around,
) -> None:
    """Run the model on a few samples of train and look at what it returns.

    Raises ValueError, with the rule, where that will not do. No random number is drawn and no
    running statistic moves.
    """
    owner = _named(model)
    place = next(iter(bundle.train.labelled.values())).device
    few = torch.arange(min(_SAMPLES, len(bundle.train)), device=place)
    batch = bundle.train.take(few).to(device)
    training = model.training
    model.eval()
    try:
        # As a failure would be a compiler's, and a graph of this size is needed once.
        with (
            torch.no_grad(),
            eager(),
            around(),
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        ):
            output: object = model(batch.inputs, batch.present)
            _check_output(owner, output, objectives, bundle, batch, device)
            task_losses(model, objectives, batch, around)
    except RuntimeError as error:
        if not re.search(r"same device|expected device|should be the same", str(error)):
            raise
        text = "tensors that a model keeps must be parameters or buffers, which move with it"
        raise ValueError(f"{owner}: {text}; {blame(error)}") from error
    finally:
        model.train(training)


def check_in_memory(model: nn.Module) -> None:
    """ValueError where a parameter or buffer holds nothing: it cannot come to any device."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
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
