from __future__ import annotations

from typing import Any

import torch

from mtmm.model import PathModel, build_model
from mtmm.sharing.separate import Separate
from mtmm.spec import Batch, Description, SharedSpace

CONFIG: dict[str, Any] = {
    "encoders": {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}},
    "sharing": "separate",
    "width": 6,
}


def _count(description: Description, tasks: list[str]) -> int:
    model = build_model(CONFIG, description.select(["image", "text"], tasks))
    return sum(parameter.numel() for parameter in model.parameters())


def test_nothing_is_shared(description: Description, batch: Batch) -> None:
    output = build_model(CONFIG, description)(batch.inputs, batch.present)
    assert output.shared == SharedSpace()
    left, right = output.features["left"].vector, output.features["right"].vector
    assert (left != right).any()


def test_an_island_is_the_model_of_its_task_alone(description: Description) -> None:
    model = build_model(CONFIG, description)
    assert isinstance(model, PathModel)
    for tasks, parameters in model.islands():
        alone = build_model(CONFIG, description.select(["image", "text"], tasks))
        # In the same order: sums over parameters round alike.
        assert [p.shape for p in parameters] == [p.shape for p in alone.parameters()]
        assert all(map(torch.equal, parameters, alone.parameters()))


def test_it_is_as_large_as_the_tasks_alone(description: Description) -> None:
    alone = _count(description, ["left"]) + _count(description, ["right"])
    assert _count(description, ["left", "right"]) == alone


def test_no_task_reaches_the_path_of_another(description: Description, batch: Batch) -> None:
    model = build_model(CONFIG, description)
    outputs = model(batch.inputs, batch.present).outputs
    used = []
    for logits in outputs.values():
        gradients = torch.autograd.grad(
            logits.sum(), list(model.parameters()), allow_unused=True, retain_graph=True
        )
        used.append([gradient is not None for gradient in gradients])
    assert all(left != right for left, right in zip(*used, strict=True))


def test_every_part_of_a_path_starts_with_weights_of_its_own(description: Description) -> None:
    model = build_model(CONFIG, description)
    assert isinstance(model, PathModel)
    assert isinstance(model.sharing, Separate)
    left, right = (dict(path.named_parameters()) for path in model.sharing.paths)
    equal = [name for name in left if torch.equal(left[name], right[name])]
    assert equal == ["fusion.projection.bias"]  # 0 at first
