from __future__ import annotations

from typing import Any

import pytest
import torch

from mtmm.configuration import resolve_model
from mtmm.heads.decision import DecisionHead
from mtmm.model import PathModel, build_model
from mtmm.settings import Problem
from mtmm.spec import Batch, Description, Features, SharedSpace, Task

CONFIG = {
    "encoders": {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}},
    "fusion": "late_product",
    "width": 8,
}


def test_each_modality_has_a_head_of_its_own(description: Description, batch: Batch) -> None:
    model = build_model(CONFIG, description)
    heads = [module for module in model.modules() if isinstance(module, DecisionHead)]
    assert [len(head.heads) for head in heads] == [2, 2]
    output = model(batch.inputs, batch.present)
    vector = output.features["left"].vector
    image, text = vector.split([8, 8], dim=1)
    one, two = (
        head(Features(vector=x)) for head, x in zip(heads[0].heads, (image, text), strict=True)
    )
    logp = one.log_softmax(1) * batch.present["image"][:, None]
    logp = logp + two.log_softmax(1) * batch.present["text"][:, None]
    some = batch.present["image"] | batch.present["text"]
    torch.testing.assert_close(output.outputs["left"][some], logp[some])


def test_gradients_for_z_are_those_of_all_modalities(
    description: Description, batch: Batch
) -> None:
    output = build_model(CONFIG, description)(batch.inputs, batch.present)
    assert output.shared.z is not None
    (z,) = output.shared.z
    assert output.shared.last is None
    (gradient,) = torch.autograd.grad(output.outputs["left"].square().sum(), z)
    assert (gradient[batch.present["image"]][:, :8] != 0).any()
    assert (gradient[batch.present["text"]][:, 8:] != 0).any()


def test_a_sharing_need_not_hand_on_who_is_there(description: Description, batch: Batch) -> None:
    model = build_model(CONFIG, description)
    expected = model(batch.inputs, batch.present).outputs
    assert isinstance(model, PathModel)
    forward = model.sharing.forward

    def forgetful(*given: Any) -> tuple[dict[str, Features], SharedSpace]:
        features, shared = forward(*given)
        return {task: Features(vector=f.vector) for task, f in features.items()}, shared

    model.sharing.forward = forgetful  # type: ignore[method-assign, assignment]
    for task, output in model(batch.inputs, batch.present).outputs.items():
        assert torch.equal(output, expected[task])


def test_decisions_are_fused_of_classifications_only(description: Description) -> None:
    tasks = (*description.tasks, Task(name="age", kind="number"))
    other = Description(
        modalities=description.modalities, tasks=tasks, fingerprint=description.fingerprint
    )
    problems: list[Problem] = []
    resolve_model(CONFIG, other, ("model",), problems)
    assert any(
        "fuses decisions of classifications; task 'age' is of kind 'number'" in p.message
        or "no head for task 'age'" in p.message
        for p in problems
    )


@pytest.mark.parametrize("fusion", ["mixture", "late_learned"])
def test_parts_hold_every_parameter_once(fusion: str, description: Description) -> None:
    model = build_model({**CONFIG, "fusion": fusion}, description)
    parts = model.parts()  # type: ignore[operator]
    counted = [id(p) for part in parts.values() for p in part.parameters()]
    assert sorted(counted) == sorted(id(p) for p in model.parameters())
    assert len(list(parts["fusion"].parameters())) > 0
