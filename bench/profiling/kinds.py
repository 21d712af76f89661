"""What kind of work a kernel or an operator does, judged by its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from bench.profiling.trace import COPY, OPERATOR, SET

KINDS = (
    *("gemm", "conv", "attention", "norm", "elementwise", "reduce", "copy", "dropout"),
    *("optimizer", "communication", "other"),
)

_Patterns = Sequence[tuple[str, re.Pattern[str]]]


def _patterns(*rules: tuple[str, str]) -> _Patterns:
    return [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in rules]


# The first rule that fits counts: kernels of cuDNN for attention are also matrix products, and
# those that Triton fuses are named by all that they do.
_KERNELS = _patterns(
    ("communication", r"nccl|rccl|all_?reduce|all_?gather|reduce_?scatter|nvshmem|symm_mem"),
    ("optimizer", r"multi_tensor_apply|fused_?(adam|sgd|adagrad|lamb)|foreach"),
    ("elementwise", r"^triton_poi_"),
    ("attention", r"flash|fmha|attention|sdpa|mha_"),
    ("dropout", r"dropout"),
    ("norm", r"(batch|layer|group|instance|rms)_?norm|::bn_|RowwiseMoments|GammaBeta"),
    ("norm", r"InternalGradients|ComputeFusedParams|GradientFusedParams"),
    ("reduce", r"^triton_(red|per)_"),
    ("conv", r"conv(?!ert)|fprop|dgrad|wgrad|winograd|scudnn|cask_cudnn|implicit_?gemm"),
    ("conv", r"cudnn::(cnn|engines|gemm)|im2col|col2im|vol2col|col2vol|flip_filter"),
    ("conv", r"nchwToNhwc|nhwcToNchw"),
    ("gemm", r"gemm|gemv|nvjet|cublas|cutlass|wgmma|tensorop|matmul|splitKreduce|xmma"),
    ("gemm", r"^(ampere|hopper|sm\d+)_|h884|s1688|16816|triton_tem_|::dot_kernel"),
    ("copy", r"memcpy|memset|CatArray|copy_kernel"),
    ("reduce", r"reduce|soft_?max|cub::|scan|norm_kernel|nll_loss|argm(ax|in)"),
    ("elementwise", r"elementwise|Functor|pointwise|scalePackedTensor|fill|threshold|clamp"),
)

_OPERATORS = _patterns(
    ("communication", r"^(c10d|nccl|gloo)|record_param_comms|distributed"),
    ("optimizer", r"^Optimizer\.|::_foreach_|::_fused_(adam|sgd|adagrad)"),
    ("attention", r"attention|sdpa"),
    ("dropout", r"dropout|::bernoulli"),
    ("norm", r"(batch|layer|group|instance|rms)_norm"),
    ("conv", r"conv(?!ert)|im2col|col2im|slow_\w*2d"),
    ("gemm", r"mm\b|mv\b|matmul|linear|einsum|::v?dot\b"),
    (
        "copy",
        r"::(copy|clone|contiguous|cat|stack|_to_copy|to|repeat|_?pin_memory)_?\b|^mem(cpy|set)",
    ),
    (
        "reduce",
        r"::_?(sum|mean|prod|std|var|var_mean|norm|max|min|amax|amin|argmax|argmin|any|all)\b",
    ),
    ("reduce", r"softmax|logsumexp|cumsum|cumprod|vector_norm|nll_loss|mse_loss|entropy|l1_loss"),
    (
        "elementwise",
        r"::_?(add|sub|rsub|mul|div|neg|abs|exp|log|log1p|sqrt|rsqrt|pow|square|sin|cos|tanh"
        r"|sigmoid|relu|relu6|gelu|silu|elu|leaky_relu|hardtanh|softplus|hardswish|mish|prelu"
        r"|clamp|clamp_min|clamp_max|minimum|maximum|where|lerp|addcmul|addcdiv|fill|zero"
        r"|threshold|erf|reciprocal|sign|eq|ne|lt|le|gt|ge|logical_\w+|bitwise_\w+|masked_fill"
        r"|remainder|floor|round|ceil|fmod|isnan|isinf|isfinite|glu)(_backward)?_?\b",
    ),
)


@cache
def kind_of(name: str, category: str) -> str:
    """The kind, out of `KINDS`, of an event of this name and category of a trace."""
    if category in (COPY, SET):
        return "copy"
    patterns = _OPERATORS if category == OPERATOR else _KERNELS
    return next((kind for kind, pattern in patterns if pattern.search(name)), "other")
