from __future__ import annotations

from typing import Any

from mtmm.encoders.base import Encoder
from mtmm.model import PathModel, build_model
from mtmm.sharing.hard import Hard
from mtmm.spec import Batch, Description

CONFIG: dict[str, Any] = {
    "encoders": {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm"}},
    "sharing": "hard",
    "width": 6,
}


def test_tasks_share_one_path(description: Description, batch: Batch) -> None:
    model = build_model(CONFIG, description)
    assert isinstance(model, PathModel)
    assert isinstance(model.sharing, Hard)
    path = model.sharing.path
    output = model(batch.inputs, batch.present)
    assert output.shared.z is not None
    (z,) = output.shared.z
    assert all(features.vector is z for features in output.features.values())
    (group,) = output.shared.theta.values()
    assert [id(p) for p in group] == [id(p) for p in path.parameters()]
    assert output.shared.last is path.fusion


def test_with_one_modality_the_last_shared_module_is_the_encoders_last_stage(
    description: Description, batch: Batch
) -> None:
    model = build_model(CONFIG, description.select(["image"], ["left", "right"]))
    assert isinstance(model, PathModel)
    assert isinstance(model.sharing, Hard)
    (encoder,) = model.sharing.path.encoders
    assert isinstance(encoder, Encoder)
    last = model(batch.inputs, batch.present).shared.last
    assert last is not None
    assert last is list(encoder.stages.values())[-1]
    assert list(last.parameters())
    assert not any("_last" in name for name in model.state_dict())


def test_every_task_more_costs_a_head_only(description: Description) -> None:
    def count(tasks: list[str]) -> int:
        model = build_model(CONFIG, description.select(["image", "text"], tasks))
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(["left", "right"]) - count(["left"]) == 6 * 4 + 4
