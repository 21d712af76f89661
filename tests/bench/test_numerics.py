from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from bench.api import load, run
from bench.checkpoint import TrainingState
from bench.cli import main
from bench.errors import InputError
from bench.evaluation import evaluate
from bench.failure import reason_of, status_of
from bench.numerics import NeedsCudaError, check_device, full, restored, set_precision
from bench.selection import Progress
from bench.step import TrainStep
from bench.training import build_step, train
from mtmm.spec import Batch, DataBundle

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def asked(config: Mapping[str, Any], **settings: str) -> dict[str, Any]:
    return {**config, "numerics": {**config["numerics"], **settings}}


def some(bundle: DataBundle, count: int = 16) -> Batch:
    return bundle.train.take(torch.arange(count))


def weights(step: TrainStep) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in step.model.parameters()]


def test_bf16_is_a_hand_written_autocast_loop(config: dict[str, Any], bundle: DataBundle) -> None:
    ours = build_step(asked(config, precision="bf16"), bundle, seed=0, device=CPU)
    theirs = build_step(config, bundle, seed=0, device=CPU)
    plain = build_step(config, bundle, seed=0, device=CPU)
    batch = some(bundle)
    for _ in range(3):
        theirs.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = theirs.model(batch.inputs, batch.present).outputs
            losses = [cross_entropy(outputs[task].float(), batch.targets[task]) for task in outputs]
        sum(losses).backward()  # type: ignore[union-attr]
        theirs.optimizer.step()
        assert torch.equal(ours(batch), torch.stack(losses).detach())
        assert all(map(torch.equal, weights(ours), weights(theirs)))
        plain(batch)
    assert all(weight.dtype == torch.float32 for weight in weights(ours))
    assert not all(map(torch.equal, weights(ours), weights(plain)))


def test_evaluation_runs_under_the_same_autocast(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    step = build_step(asked(config, precision="bf16"), bundle, seed=0, device=CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = evaluate(step.model, step.objectives, bundle.val)
    assert evaluate(step.model, step.objectives, bundle.val, step.around) == expected
    assert evaluate(step.model, step.objectives, bundle.val) != expected
    in_all = {**config["train"], "epochs": 1}
    trained = train(
        {**asked(config, precision="bf16"), "train": in_all}, bundle, seed=0, device=CPU
    )
    fp32 = train({**config, "train": in_all}, bundle, seed=0, device=CPU)
    assert trained["curve"][0]["val"] != fp32["curve"][0]["val"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_losses_and_metrics_have_32_bits_or_more(dtype: torch.dtype) -> None:
    value = torch.ones(2, dtype=dtype)
    assert full(value).dtype == (dtype if dtype == torch.float64 else torch.float32)


def scaled(config: dict[str, Any], bundle: DataBundle, scale: float) -> TrainStep:
    """A step with clipping and a learned weighting, and a scaler of that scale, if any."""
    learned = {"name": "uncertainty", "initial": 0.0, "learning_rate": 0.5}
    bound = {**config["train"], "clip_norm": 0.01}
    step = build_step({**config, "weighting": learned, "train": bound}, bundle, seed=0, device=CPU)
    if scale:
        step.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return step


def largest(step: TrainStep) -> float:
    grads = [p.grad.abs().max() for p in step.model.parameters() if p.grad is not None]
    return float(torch.stack(grads).max()) if grads else 0.0


def test_gradients_are_unscaled_before_they_are_clipped(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    # A power of two changes no digit: all must be equal, bit for bit.
    plain, powered = scaled(config, bundle, 0.0), scaled(config, bundle, 2.0**10)
    seen: dict[TrainStep, list[float]] = {plain: [], powered: []}
    for _ in range(3):
        losses = []
        for step, gradients in seen.items():
            note = partial(lambda one, told: told.append(largest(one)), step, gradients)
            losses.append(step(some(bundle), note))
        assert torch.equal(*losses)
    after_backward, after_step = 3, 4
    assert seen[powered][after_backward] == 2**10 * seen[plain][after_backward] > 0
    assert seen[powered][after_step] == seen[plain][after_step]
    assert all(map(torch.equal, weights(plain), weights(powered)))
    assert torch.equal(plain.state["log_variance"], powered.state["log_variance"])


def test_an_infinite_gradient_skips_the_step_and_halves_the_scale(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    step = scaled(config, bundle, 2.0**10)
    before, learned = weights(step), step.state["log_variance"].detach().clone()
    losses = overflow(step, some(bundle))
    assert torch.isfinite(losses).all()  # what the weighting sees is not scaled
    assert all(map(torch.equal, weights(step), before))
    assert torch.equal(step.state["log_variance"], learned)
    assert step.scaler.get_scale() == 2.0**9
    step(some(bundle))
    assert not any(map(torch.equal, weights(step), before))
    assert step.scaler.get_scale() == 2.0**9


def overflow(step: TrainStep, batch: Batch) -> Tensor:
    """Step where one gradient is not finite."""
    hook = next(step.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)
    try:
        return step(batch)
    finally:
        hook.remove()


def test_the_scale_goes_on_from_a_checkpoint(config: dict[str, Any], bundle: DataBundle) -> None:
    step, other = scaled(config, bundle, 2.0**10), scaled(config, bundle, 2.0**20)
    overflow(step, some(bundle))
    state_of(other).restore(state_of(step).to_dict())
    assert other.scaler.get_scale() == 2.0**9


def state_of(step: TrainStep) -> TrainingState:
    schedule = LambdaLR(step.optimizer, lambda _: 1.0)
    return TrainingState(step, schedule, torch.Generator(), Progress(selections=[]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("precision", "tf32"),
        ("precision", "fp16"),
        ("compile", "reduce-overhead"),
        ("compile", "cudagraphs"),
    ],
)
def test_what_needs_cuda_is_told_elsewhere(
    config: dict[str, Any], bundle: DataBundle, key: str, value: str
) -> None:
    wanted = asked(config, **{key: value})
    text = f"numerics.{key}: {value} needs a CUDA device; this run is on cpu"
    with pytest.raises(NeedsCudaError) as caught:
        build_step(wanted, bundle, seed=0, device=CPU)
    assert (str(caught.value), reason_of(caught.value)) == (text, text)
    assert status_of(caught.value) == "skipped"
    check_device(wanted["numerics"], CUDA)
    check_device(asked(config, precision="bf16", compile="max-autotune")["numerics"], CPU)


@pytest.mark.slow
def test_what_needs_cuda_is_skipped_beside_the_rest(
    suite: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["sweep"] = [{"numerics.precision": ["fp32", "tf32", "bf16"]}]
    suite["timing"] = {"batch_sizes": [16], "modes": ["inference"], "budget_s": 0.1}
    suite["seeds"] = 1
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    command = ["run", str(file), "--results", str(tmp_path / "results"), "--device", "cpu"]
    assert main([*command, "--workers", "0"]) == 0
    out, _ = capsys.readouterr()
    reason = "numerics.precision: tf32 needs a CUDA device; this run is on cpu"
    assert out.count(f"Skipped: precision=tf32: {reason}") == 1
    frame = load(tmp_path / "results" / "small")
    status = frame.groupby(["variant", "kind"])["status"].unique().map(list).to_dict()
    assert status.pop(("precision=tf32", "train")) == ["skipped"]
    assert status.pop(("precision=tf32", "time")) == ["skipped"]
    assert set(map(tuple, status.values())) == {("ok",)}
    for page in ("report.md", "report.html"):
        told = (tmp_path / "results" / "small" / page).read_text(encoding="utf-8")
        assert told.count(reason) == 1
        assert "Not finished" not in told
    assert main(["plan", *command[1:]]) == 0
    assert "failed" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("where", ["base", "baseline"])
def test_a_base_that_needs_cuda_is_refused(
    suite: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    where: str,
) -> None:
    if where == "base":
        suite["numerics"] = {"precision": "tf32"}
    else:
        suite["sweep"] = [{"numerics.precision": ["fp32", "tf32"]}]
        suite["baseline"] = {"numerics.precision": "tf32"}
    file, results = tmp_path / "small.yaml", tmp_path / "results"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert main([command, str(file), "--results", str(results), "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "numerics.precision: tf32 needs a CUDA device; this run is on cpu" in err
    assert not results.exists()
    with pytest.raises(InputError, match="needs a CUDA device"):
        run(suite, results=results, device="cpu")


def test_precision_is_set_for_cuda_alone_and_set_back() -> None:
    # Flags can be set where no device is.
    backends: Any = torch.backends
    kinds = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    before = [kind.fp32_precision for kind in kinds]
    for precision, flag in (("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")):
        with restored():
            set_precision(precision, CPU)
            assert [kind.fp32_precision for kind in kinds] == before
            set_precision(precision, CUDA)
            assert {kind.fp32_precision for kind in kinds} == {flag}
        assert [kind.fp32_precision for kind in kinds] == before


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_trains_on_cuda(
    config: dict[str, Any], bundle: DataBundle, precision: str
) -> None:
    on_gpu = bundle.to(CUDA)
    losses = [
        train(asked(config, precision=one), on_gpu, seed=0, device=CUDA)["curve"][-1]["val"]
        for one in ("fp32", precision)
    ]
    for task in config["tasks"]:
        one, other = (loss[task]["loss"] for loss in losses)
        assert other == pytest.approx(one, rel=0.05)
