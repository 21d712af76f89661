from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench import evaluation
from bench import training as training_module
from bench.evaluation import evaluate, primary_score
from bench.loading import batches
from bench.training import (
    DivergedError,
    build_step,
    islands,
    train,
    train_epoch,
)
from mtmm.seeding import generator
from mtmm.spec import DataBundle, in_memory

CPU = torch.device("cpu")


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "seconds"}


def sharing(config: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    return {**config, "model": {**config["model"], "sharing": {"name": name}}, **changes}


def test_a_repeated_cell_is_bit_identical(config: dict[str, Any], bundle: DataBundle) -> None:
    first = train(config, bundle, seed=3, device=CPU)
    torch.rand(7)  # what happened before must not matter
    second = train(config, bundle, seed=3, device=CPU)
    assert timeless(first) == timeless(second)
    assert timeless(first) != timeless(train(config, bundle, seed=4, device=CPU))


def test_training_leaves_the_global_random_state_alone(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    train(config, bundle, seed=0, device=CPU)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("task", ["script", "slant"])
@pytest.mark.parametrize("alone", ["separate", "hard"])
def test_a_path_of_separate_is_the_task_trained_alone(
    config: dict[str, Any], bundle: DataBundle, task: str, alone: str
) -> None:
    together = train(sharing(config, "separate"), bundle, seed=1, device=CPU)
    single = bundle.select(["image", "text"], [task])
    one = train(sharing(config, alone, tasks=[task]), single, seed=1, device=CPU)
    for split in ("val", "test"):
        assert together[split][task] == one[split][task]
    assert together["epochs"][task] == one["epochs"][task]
    for epoch, other in zip(together["curve"], one["curve"], strict=True):
        assert epoch["loss"][task] == other["loss"][task]


def test_the_weights_of_a_path_of_separate_are_those_of_the_task_alone(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    def trained(data: DataBundle) -> dict[str, torch.Tensor]:
        step = build_step(sharing(config, "separate"), data, seed=1, device=CPU)
        for batch in batches(data.train, 32, generator(1, "order")):
            step(batch)
        return step.model.state_dict()

    together = trained(bundle)
    alone = trained(bundle.select(["image", "text"], ["slant"]))
    paths = {name: value for name, value in together.items() if ".paths.1." in name}
    assert paths
    for name, value in paths.items():
        assert torch.equal(value, alone[name.replace(".paths.1.", ".paths.0.")])


def training(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**config, "train": {**config["train"], **changes}}


SETTINGS: dict[str, dict[str, Any]] = {
    "clipping": {"clip_norm": 0.05},
    "warm-up": {"warmup": 0.7},
    "a schedule": {"schedule": {"name": "step", "every": 1, "factor": 0.5}},
    "an early end": {"epochs": 5, "max_steps": 9},
    "balanced classes": {"class_weights": "balanced"},
    "freezing": {"freeze": ["encoders.text", "heads"]},
    "rates": {"lr_scale": {"encoders": 0.1, "encoders.image": 3.0}},
    "all at once": {
        "clip_norm": 0.05,
        "class_weights": "balanced",
        "freeze": ["fusion"],
        "lr_scale": {"encoders.text": 0.1},
        "warmup": 1.0,
        "max_steps": 9,
    },
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_so_it_is_with_every_setting(
    config: dict[str, Any], bundle: DataBundle, changes: dict[str, Any]
) -> None:
    together = train(training(sharing(config, "separate"), **changes), bundle, seed=1, device=CPU)
    plain = train(sharing(config, "separate"), bundle, seed=1, device=CPU)
    for task in ("script", "slant"):
        single = bundle.select(["image", "text"], [task])
        alone = training(sharing(config, "hard", tasks=[task]), **changes)
        one = train(alone, single, seed=1, device=CPU)
        for split in ("val", "test"):
            assert together[split][task] == one[split][task]
        for epoch, other in zip(together["curve"], one["curve"], strict=True):
            assert epoch["loss"][task] == other["loss"][task]
            assert epoch["val"][task] == other["val"][task]
        # The setting did something.
        last = min(len(plain["curve"]), len(one["curve"])) - 1
        assert plain["curve"][last]["val"][task] != one["curve"][last]["val"][task]


def test_a_patient_path_of_separate_chooses_as_its_task_alone(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    settings = {"epochs": 12, "patience": 2}
    for seed in range(2):
        together = train(
            training(sharing(config, "separate"), **settings), bundle, seed=seed, device=CPU
        )
        lengths = set()
        for task in ("script", "slant"):
            single = bundle.select(["image", "text"], [task])
            alone = training(sharing(config, "hard", tasks=[task]), **settings)
            one = train(alone, single, seed=seed, device=CPU)
            assert together["epochs"][task] == one["epochs"][task]
            for split in ("val", "test"):
                assert together[split][task] == one[split][task]
            lengths.add(len(one["curve"]))
            assert len(one["curve"]) in (one["epochs"][task] + 2, 12)
        assert len(lengths) == 2  # one closes while the other goes on
        assert len(together["curve"]) == max(lengths)


def test_variants_of_one_seed_see_the_same_batches(bundle: DataBundle) -> None:
    def images(seed: int) -> list[torch.Tensor]:
        order = generator(seed, "order")
        return [batch.inputs["image"] for batch in batches(bundle.train, 64, order)]

    assert all(map(torch.equal, images(0), images(0)))
    assert not all(map(torch.equal, images(0), images(1)))


def test_an_epoch_shows_no_sample_twice(bundle: DataBundle) -> None:
    seen = torch.cat(
        [batch.inputs["image"].flatten(1) for batch in batches(bundle.train, 50, torch.Generator())]
    )
    assert len(seen) == len(bundle.train) // 50 * 50
    times = Counter(tuple(row) for row in seen.tolist())
    image = in_memory(bundle.train).inputs["image"]
    there = Counter(tuple(row) for row in image.flatten(1).tolist())
    assert times <= there


def test_a_batch_larger_than_the_split_is_the_split(bundle: DataBundle) -> None:
    (only,) = batches(bundle.val, 10_000, torch.Generator())
    assert len(only) == len(bundle.val)


def test_it_learns(config: dict[str, Any], bundle: DataBundle) -> None:
    longer = {**config, "train": {**config["train"], "epochs": 8}}
    result = train(longer, bundle, seed=0, device=CPU)
    losses = [epoch["loss"]["script"] for epoch in result["curve"]]
    assert losses[-1] < 0.8 * losses[0]
    assert result["steps"] == 8 * (len(bundle.train) // 32)
    assert result["samples"] == 32 * result["steps"]


def test_the_reported_epoch_is_the_best_on_val(config: dict[str, Any], bundle: DataBundle) -> None:
    longer = {**config, "train": {**config["train"], "epochs": 5}}
    result = train(longer, bundle, seed=0, device=CPU)
    scores = [epoch["val_score"] for epoch in result["curve"]]
    chosen = result["epochs"]["script"]
    assert set(result["epochs"].values()) == {chosen}
    assert scores[chosen - 1] == max(scores) == result["scores"]["val"]
    assert result["val"] == result["curve"][chosen - 1]["val"]


def test_training_ends_when_patience_does(config: dict[str, Any], bundle: DataBundle) -> None:
    whole = train(training(config, epochs=12), bundle, seed=0, device=CPU)
    result = train(training(config, epochs=12, patience=1), bundle, seed=0, device=CPU)
    scores = [epoch["val_score"] for epoch in whole["curve"]]
    first = next(i for i in range(1, 12) if scores[i] <= max(scores[:i]))
    assert first < 11
    assert result["curve"] == whole["curve"][: first + 1]
    assert set(result["epochs"].values()) == {first}
    assert result["steps"] == (first + 1) * (len(bundle.train) // 32)
    assert result["samples"] == 32 * result["steps"]


def test_a_task_whose_choice_is_final_may_diverge(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 12, "patience": 2}
    separate = training(sharing(config, "separate"), **settings)
    expected = train(separate, bundle, seed=0, device=CPU)
    early = min(expected["epochs"], key=lambda task: expected["epochs"][task])
    closes = expected["epochs"][early] + 2
    assert closes < len(expected["curve"])
    real, epochs, broken_from = train_epoch, list[int](), closes + 1

    def broken(*arguments: Any) -> torch.Tensor:
        epochs.append(len(epochs) + 1)
        losses = real(*arguments)
        if epochs[-1] >= broken_from:
            losses[["script", "slant"].index(early)] = math.nan
        return losses

    monkeypatch.setattr(training_module, "train_epoch", broken)
    result = train(separate, bundle, seed=0, device=CPU)
    assert result["test"] == expected["test"]
    epochs.clear()
    broken_from = closes
    with pytest.raises(DivergedError, match=f"in epoch {closes}"):
        train(separate, bundle, seed=0, device=CPU)


class Own(torch.nn.Module):
    """A model of one's own whose tasks share nothing."""

    def __init__(self, tasks: list[tuple[str, ...]]) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        self.groups = tasks

    def islands(self) -> list[tuple[tuple[str, ...], Iterator[torch.nn.Parameter]]]:
        return [(t, m.parameters()) for t, m in zip(self.groups, (self.a, self.b), strict=True)]


def test_islands_are_those_the_model_names_or_one() -> None:
    own = Own([("y",), ("x",)])
    made = islands(own, ("x", "y"))
    assert [island.tasks for island in made] == [("y",), ("x",)]
    assert [list(map(id, i.parameters)) for i in made] == [
        [id(own.a.weight), id(own.a.bias)],
        [id(own.b.weight), id(own.b.bias)],
    ]
    (one,) = islands(own.a, ("x", "y"))
    assert one.tasks == ("x", "y")
    assert list(map(id, one.parameters)) == [id(own.a.weight), id(own.a.bias)]
    wrongs: list[list[tuple[str, ...]]] = [[("x",), ("x", "y")], [("x",), ()], [("x",), ("z",)]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="`islands` of 'Own' must hold each of x, y once"):
            islands(Own(wrong), ("x", "y"))


@pytest.mark.parametrize(
    ("name", "layout"),
    [("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)],
)
def test_the_memory_format_is_that_of_convolutions(
    config: dict[str, Any], bundle: DataBundle, name: str, layout: torch.memory_format
) -> None:
    changed = {**config, "numerics": {**config["numerics"], "memory_format": name}}
    step = build_step(changed, bundle, seed=0, device=CPU)
    weights = [p for p in step.model.parameters() if p.dim() == 4]
    assert all(weight.is_contiguous(memory_format=layout) for weight in weights)
    # With one channel the two formats are the same.
    (other,) = {torch.channels_last, torch.contiguous_format} - {layout}
    deep = [weight for weight in weights if weight.shape[1] > 1]
    assert deep
    assert not any(weight.is_contiguous(memory_format=other) for weight in deep)
    reference = build_step(config, bundle, seed=0, device=CPU)
    batch = bundle.train.take(torch.arange(16))
    torch.testing.assert_close(step(batch), reference(batch))


def test_a_loss_that_is_not_finite_ends_the_cell(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    wild = {**config["train"], "optimizer": {**config["train"]["optimizer"], "lr": 1e30}}
    with pytest.raises(DivergedError, match="not finite in epoch"):
        train({**config, "train": wild}, bundle, seed=0, device=CPU)


def test_learned_weights_are_stepped_at_their_own_rate(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    weighting = {"name": "uncertainty", "initial": 0.0, "learning_rate": 0.5}
    step = build_step({**config, "weighting": weighting}, bundle, seed=0, device=CPU)
    group = step.optimizer.param_groups[1]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.0)
    step(in_memory(bundle.train))
    # Adam's first step moves by the rate, against the sign of ½ − e^{-s} L.
    assert step.state["log_variance"].tolist() == pytest.approx([0.5, 0.5], rel=1e-4)


def test_equal_static_weights_train_as_equal_does(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    static = {**config, "weighting": {"name": "static", "weights": [1.0, 1.0]}}
    assert timeless(train(static, bundle, seed=0, device=CPU)) == timeless(
        train(config, bundle, seed=0, device=CPU)
    )


def test_a_task_without_labels_and_an_absent_modality_train(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    split = in_memory(bundle.train)
    missing = replace(
        split,
        labelled={**split.labelled, "slant": torch.zeros(len(split), dtype=torch.bool)},
        present={**split.present, "image": torch.arange(len(split)) % 2 == 0},
        inputs={**split.inputs, "image": torch.full_like(split.inputs["image"], math.nan)},
    )
    step = build_step(config, bundle, seed=0, device=CPU)
    odd = missing.take(torch.arange(1, len(split), 2))  # images absent, and NaN where they were
    losses = step(odd)
    assert losses[1] == 0
    assert math.isfinite(float(losses[0]))
    assert all(bool(p.grad.isfinite().all()) for p in step.model.parameters() if p.grad is not None)


def test_threads_are_those_of_the_configuration_and_restored(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = evaluation.evaluate

    def spy(*arguments: Any) -> Any:
        seen.append(torch.get_num_threads())
        return real(*arguments)

    monkeypatch.setattr(training_module, "evaluate", spy)
    before = torch.get_num_threads()
    train({**config, "train": {**config["train"], "threads": 2}}, bundle, seed=0, device=CPU)
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


def test_the_score_is_the_mean_of_the_tasks_scores(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    result = train(config, bundle, seed=0, device=CPU)
    expected = {}
    for task in ("script", "slant"):
        majority = bundle.train.targets[task].bincount().argmax()
        constant = float((bundle.test.targets[task] == majority).double().mean())
        expected[task] = (result["test"][task]["accuracy"] - constant) / (1 - constant)
    assert result["scores"]["test"] == pytest.approx(primary_score(expected))


def test_the_reported_test_metrics_are_those_of_the_chosen_weights(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    one = {**config, "train": {**config["train"], "epochs": 1}}
    result = train(one, bundle, seed=2, device=CPU)
    step = build_step(one, bundle, seed=2, device=CPU)
    for batch in batches(bundle.train, 32, generator(2, "order")):
        step(batch)
    assert evaluate(step.model, step.objectives, bundle.test) == result["test"]


def test_a_last_step_that_breaks_the_model_ends_the_cell(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    # One step only: its own loss, taken before it, is finite.
    optimizer = {"name": "sgd", "lr": 1e38, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    once = {**config["train"], "optimizer": optimizer, "epochs": 1, "batch_size": 256}
    with pytest.raises(DivergedError, match="not finite after epoch 1"):
        train({**config, "train": once}, bundle, seed=0, device=CPU)


def test_samples_are_those_that_were_seen(config: dict[str, Any], bundle: DataBundle) -> None:
    large = {**config["train"], "epochs": 2, "batch_size": 10_000}
    result = train({**config, "train": large}, bundle, seed=0, device=CPU)
    assert (result["steps"], result["samples"]) == (2, 2 * len(bundle.train))


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_task_that_cannot_be_scored_is_told_before_training(
    config: dict[str, Any], bundle: DataBundle, split: str
) -> None:
    batch = getattr(bundle, split)
    unlabelled = {**batch.labelled, "slant": torch.zeros(len(batch), dtype=torch.bool)}
    changed = replace(bundle, **{split: replace(batch, labelled=unlabelled)})
    with pytest.raises(ValueError, match=f"task 'slant' has no score on {split}"):
        train(config, changed, seed=0, device=CPU)
