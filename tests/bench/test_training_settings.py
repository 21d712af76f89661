from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from bench.evaluation import evaluate
from bench.loading import batches
from bench.step import task_losses
from bench.training import (
    build_step,
    threads,
    train,
)
from mtmm.seeding import generator
from mtmm.spec import DataBundle

CPU = torch.device("cpu")


def sharing(config: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    return {**config, "model": {**config["model"], "sharing": {"name": name}}, **changes}


def training(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**config, "train": {**config["train"], **changes}}


@pytest.mark.parametrize("most", [1, 5, 6, 8, 12, 13])
def test_training_ends_after_max_steps(
    config: dict[str, Any], bundle: DataBundle, most: int
) -> None:
    cosine = {"name": "cosine", "final": 0.0}
    whole = train(training(config, schedule=cosine), bundle, seed=0, device=CPU)
    steps_per_epoch = len(bundle.train) // 32
    assert whole["steps"] == 2 * steps_per_epoch == 12
    result = train(training(config, schedule=cosine, max_steps=most), bundle, seed=0, device=CPU)
    assert result["steps"] == min(most, 12)
    assert result["samples"] == 32 * min(most, 12)
    full = min(most, 12) // steps_per_epoch
    assert result["curve"][:full] == whole["curve"][:full]
    assert len(result["curve"]) == math.ceil(min(most, 12) / steps_per_epoch)


def test_the_epoch_that_max_steps_cuts_short_is_one_like_any_other(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    result = train(training(config, max_steps=8), bundle, seed=0, device=CPU)
    order = generator(0, "order")
    with threads(1):
        step = build_step(config, bundle, seed=0, device=CPU)
        for batch in batches(bundle.train, 32, order):
            step(batch)
        two = [step(batch) for batch in itertools.islice(batches(bundle.train, 32, order), 2)]
        measured = evaluate(step.model, step.objectives, bundle.val)
    last = result["curve"][-1]
    assert last["epoch"] == 2
    assert list(last["loss"].values()) == pytest.approx(torch.stack(two).mean(0).tolist())
    assert last["val"] == measured


def test_class_weights_are_in_the_training_loss_alone(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    given = {"script": "balanced", "slant": [1.0, 4.0]}
    step = build_step(training(config, class_weights=given), bundle, seed=0, device=CPU)
    batch = bundle.train.take(torch.arange(64))
    outputs = step.model(batch.inputs, batch.present).outputs
    script = bundle.train.targets["script"]
    counts = script.bincount(minlength=bundle.task("script").classes)
    weights = {
        "script": len(script) / (int((counts > 0).sum()) * counts),
        "slant": torch.tensor([1.0, 4.0]),
    }
    losses, _ = task_losses(step.model, step.objectives, batch)
    for task, loss in zip(weights, losses, strict=True):
        expected = cross_entropy(outputs[task], batch.targets[task], weight=weights[task])
        torch.testing.assert_close(loss, expected)
        assert not torch.isclose(loss, cross_entropy(outputs[task], batch.targets[task]))
    plain = build_step(config, bundle, seed=0, device=CPU)
    assert evaluate(step.model, step.objectives, bundle.val) == evaluate(
        plain.model, plain.objectives, bundle.val
    )


def test_class_weights_that_do_not_fit_are_refused(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    for given, text in (({"slant": [1.0]}, "needs 2 finite"), ({"x": "balanced"}, "found 'x'")):
        with pytest.raises(ValueError, match=text):
            build_step(training(config, class_weights=given), bundle, seed=0, device=CPU)


def test_a_frozen_encoder_keeps_weights_and_statistics(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    encoders = {**config["model"]["encoders"], "image": {"name": "resnet18"}}
    deep = {**config, "model": {**config["model"], "encoders": encoders}}
    step = build_step(training(deep, freeze=["encoders.image"]), bundle, seed=0, device=CPU)
    before = copy.deepcopy(step.model.state_dict())
    assert any("running_mean" in name for name in before)
    few = bundle.train.take(torch.arange(8))
    for _ in range(2):
        step(few)
        evaluate(step.model, step.objectives, few)  # and back into training mode
    after = step.model.state_dict()
    still = [name for name in after if torch.equal(before[name], after[name])]
    assert still == [name for name in after if name.startswith("sharing.path.encoders.0.")]
    assert step.model.training


def test_a_frozen_part_trains_as_if_it_were_put_back_after_every_step(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    frozen = training(config, freeze=["encoders", "heads.slant"])
    result = train(frozen, bundle, seed=0, device=CPU)
    order = generator(0, "order")
    with threads(1):
        step = build_step(config, bundle, seed=0, device=CPU)
        names = ("sharing.path.encoders.", "heads.1.")
        fixed = [p for name, p in step.model.named_parameters() if name.startswith(names)]
        kept = [parameter.detach().clone() for parameter in fixed]
        for _ in range(2):
            for batch in batches(bundle.train, 32, order):
                step(batch)
                for parameter, value in zip(fixed, kept, strict=True):
                    parameter.data.copy_(value)
        measured = evaluate(step.model, step.objectives, bundle.val)
    assert measured == result["curve"][-1]["val"]


def test_the_rate_of_a_part_is_scaled(config: dict[str, Any], bundle: DataBundle) -> None:
    sgd = {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    scale = {"encoders": 0.1, "heads.slant": 3.0}
    plain, scaled = (
        build_step(training(config, optimizer=sgd, lr_scale=lr_scale), bundle, seed=0, device=CPU)
        for lr_scale in (None, scale)
    )
    start = [parameter.detach().clone() for parameter in plain.model.parameters()]
    batch = bundle.train.take(torch.arange(32))
    plain(batch)
    scaled(batch)
    seen = set()
    for (name, mine), other, old in zip(
        scaled.model.named_parameters(), plain.model.parameters(), start, strict=True
    ):
        factor = 0.1 if "encoders" in name else 3.0 if name.startswith("heads.1") else 1.0
        torch.testing.assert_close(mine - old, factor * (other - old), rtol=1e-3, atol=1e-6)
        seen.add(factor)
    assert seen == {0.1, 3.0, 1.0}


@pytest.mark.parametrize("setting", [{"freeze": ["encoders.sound"]}, {"lr_scale": {"trunk": 2.0}}])
def test_parts_that_are_not_there_are_refused(
    config: dict[str, Any], bundle: DataBundle, setting: dict[str, Any]
) -> None:
    (name,) = setting
    text = "it has: encoders, encoders.image, encoders.text, fusion, sharing, heads, heads.script"
    with pytest.raises(ValueError, match=f"`{name}` must name parts of the model.*{text}"):
        build_step(training(config, **setting), bundle, seed=0, device=CPU)
