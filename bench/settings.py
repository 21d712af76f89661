"""What a suite may set besides components: the settings of `train:`, `numerics:` and `timing:`.

Each section is a signature; the checks, the error texts, the JSON Schema and the reference page
derive from it, as they do for components.
"""

from __future__ import annotations

from typing import Annotated, Literal

from mtmm.settings import (
    AboveZero,
    ModalityName,
    NotNegative,
    PartName,
    Range,
    Rate,
    TaskName,
    Weight,
)

Positive = Annotated[int, Range(low=1)]
BatchSize = Annotated[int, Range(low=1, high=2**20)]
Probability = Annotated[float, Range(low=0, below=1)]
Noise = Annotated[float, Range(low=0, high=1000)]
ClassWeights = Literal["balanced"] | list[Weight]


def train(
    *,
    epochs: Annotated[int, Range(low=1, high=1_000_000)] = 5,
    max_steps: Positive | None = None,
    batch_size: BatchSize = 128,
    warmup: NotNegative = 0.0,
    clip_norm: AboveZero | None = None,
    patience: Positive | None = None,
    class_weights: Literal["balanced"] | dict[TaskName, ClassWeights] | None = None,
    freeze: list[PartName] | None = None,
    lr_scale: dict[PartName, Rate] | None = None,
    checkpoint: NotNegative | None = None,
    keep: list[Literal["weights", "predictions"]] | None = None,
    threads: Annotated[int, Range(low=1, high=1024)] = 1,
    loader_workers: Annotated[int, Range(low=0, high=1024)] | None = None,
    diagnostics: Positive | None = None,
    modality_dropout: Probability = 0.0,
) -> None:
    """How a variant is trained, besides `optimizer` and `schedule`.

    `max_steps` ends training early. `warmup` is the number of epochs, or a fraction of one, in
    which the rate rises linearly; at most `epochs`. `clip_norm` bounds the 2-norm of the gradient;
    tasks that share nothing are clipped each on its own. `patience` is the number of epochs without
    a better score on val after which training stops. `class_weights` weigh the classes in a task's
    loss: `balanced` for all tasks, or for each task `balanced` or a list of one weight a class.
    `freeze` names parts whose parameters and statistics stand still, `lr_scale` factors on the rate
    of parts. `checkpoint` is the number of minutes between two files from which an interrupted
    training goes on; it changes no number. `keep` says what is kept of a cell besides its record:
    the `weights` that were tested, the `predictions` for every test sample; they can be asked for
    later. `threads` are CPU threads.
    `loader_workers` is the number of processes that load batches from data which need not fit on
    the device, or into memory; without it the data lies on the device. It changes no number either.
    In one of `diagnostics` steps the tasks' gradients for the shared parameters are compared, which
    takes a backward pass a task and changes no number either. `modality_dropout` is the probability
    with which each modality of a training sample is absent; one of them always stays.
    """


def numerics(
    *,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    compile: Literal["off", "default", "max-autotune", "reduce-overhead", "cudagraphs"] = "off",
    memory_format: Literal["channels_last", "contiguous"] = "channels_last",
) -> None:
    """The numbers a model computes in, how its code is compiled and its tensors are laid out.

    Parameters, losses and metrics are fp32 whatever `precision` is. `fp32` multiplies in full,
    `tf32` matrices and convolutions with 10 bits of mantissa; `bf16` and `fp16` run forward passes
    under autocast, `fp16` with scaled gradients. `compile` is a mode of `torch.compile`, or
    `cudagraphs` for CUDA graphs without generated code. `tf32`, `fp16`, `reduce-overhead` and
    `cudagraphs` need a CUDA device. `memory_format` is that of convolutions; inputs follow.
    """


def robustness(
    *,
    subsets: Literal["all"] | list[list[ModalityName]] | None = None,
    missing: list[Probability] | None = None,
    noise: list[Noise] | None = None,
) -> None:
    """What the trained model is also evaluated on, besides the test split as it is.

    `subsets` of modalities, the others absent: `all` of them (of more than five modalities, those
    that lack one), or a list. `missing` are probabilities with which each modality of a sample is
    absent; one of them always stays. `noise` are standard deviations of Gaussian noise on one
    modality at a time, in units of that modality's own; it is for modalities of real numbers.
    Training is the same with and without.
    """


def timing(
    *,
    batch_sizes: list[BatchSize] | None = None,
    modes: list[Literal["train", "inference", "forward", "pipeline"]] | None = None,
    budget_s: AboveZero = 60.0,
) -> None:
    """What is timed: every batch size in every mode.

    Without `batch_sizes` it is the base's training batch size, without `modes` train and inference.
    `train` is a whole step; `inference` a forward pass in evaluation mode without gradients;
    `forward` one in training mode, which keeps what a backward pass needs; all on one batch that
    lies on the device. `pipeline` gets a new batch for every step as training does, then does the
    step. `budget_s` is the time in seconds that one batch size in one mode may take.
    """


def search(
    *,
    objective: str | list[str] = "val.score",
    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "random", "grid"] = "tpe",
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = "none",
    trials: Annotated[int, Range(low=1, high=100_000)] = 20,
    seeds: Annotated[int, Range(low=1, high=1000)] = 1,
    repeats: Annotated[int, Range(low=1, high=100)] = 1,
    seed: Annotated[int, Range(low=0, high=2**31 - 1)] = 0,
    timeout_s: AboveZero | None = None,
) -> None:
    """How settings are searched, besides `space`, `each` and `constraints`.

    `objective` is `val.score`, `val.<task>.<metric>` or a cost such as `step_ms` or `params`, or a
    list of several; its mean over `seeds` is what a trial comes to. These seeds are others than
    those of the suite, with which the tuned arms are compared. `grid` goes through a finite space.
    `median` and `hyperband` stop the first seed of a trial after an epoch, `wilcoxon` a trial
    after a seed. Every arm gets the same number of `trials`, or as many as `timeout_s` seconds
    allow, `repeats` times with other seeds. `seed` is that of the sampler.
    """


def simplex(
    *, axis: str = "weighting.weights", points: Annotated[int, Range(low=1, high=1024)] = 9
) -> None:
    """Points of the simplex of task weights, which sum to the number of tasks.

    The centre first, then fixed-seed Sobol points. `axis` is the setting that takes the weights.
    """
