"""The tables of torch-tb-profiler without TensorBoard: a second opinion on a trace.

The plugin (0.4.3 of 2023 is its last release) does not know how the profiler names some events
today; `_as_plugin_expects` renames them. What it says of Tensor Cores is left out of the tables: it
goes by names of kernels up to 2021.
"""

from __future__ import annotations

import gzip
import html
import json
import logging
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import InputError

ROLES = (
    *("Kernel", "Memcpy", "Memset", "Communication", "Runtime", "DataLoader"),
    *("CpuOp", "Other", "Total"),
)
"""What a moment of a step counts for: the first of these that goes on in it; Total is the step."""

RENAMED = {"cuda_runtime": "Runtime", "cuda_driver": "Runtime"}
"""Categories of events, from the profiler's names to the plugin's.

`fwdbwd`, its `forward_backward`, is not among them: knowing these arrows, it moves backward
operators below modules and loses those of a loss, where a trace has Python's stack.
"""

GZIP = b"\x1f\x8b"

Event = dict[str, Any]


@dataclass(frozen=True, eq=False)
class PluginTables:
    """What torch-tb-profiler makes of one trace. Times are microseconds."""

    overview: pd.DataFrame
    """A row for each step (index `step`, its number as text), a column for each of ROLES."""
    operators: pd.DataFrame
    """By name: `calls`, `device_self_us`, `device_total_us`, `host_self_us`, `host_total_us`.

    A total covers nested operators. Ordered by the time on the device, then on the host.
    """
    kernels: pd.DataFrame | None
    """By name: `calls`, `total_us`, `mean_us`, `min_us`, `max_us`, `blocks_per_sm`,
    `occupancy_pct`, longest total first; None where the trace has no kernel."""
    devices: pd.DataFrame | None
    """By device: `utilization_pct`, `sm_efficiency_pct` and `occupancy_pct`, between 0 and 100, the
    last two estimated by the profiler; None where the trace has no kernel."""
    recommendations: tuple[str, ...]
    """The plugin's advice as plain text."""
    notes: tuple[str, ...]
    """What is missing from these tables, and why."""


def read_with_plugin(path: Path) -> PluginTables:
    """Read a trace of torch.profiler (`.pt.trace.json`, gzipped or not) with torch-tb-profiler.

    It happens in this process, and the plugin's warnings on single events are not shown. Raises
    InputError without the package, and where the file is no such trace.
    """
    try:
        from torch_tb_profiler.profiler.data import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
            RunProfileData,
        )
    except ImportError:
        text = "torch-tb-profiler is needed: pip install 'mtmm-bench[tensorboard]'"
        raise InputError(text) from None
    trace = _load(path)
    with _quiet():
        try:
            trace["traceEvents"] = list(_as_plugin_expects(trace["traceEvents"]))
            data = RunProfileData.from_json("worker", None, trace)
        except Exception as error:  # it checks nothing: a bad file fails anywhere in it
            told = f"{type(error).__name__}: {error}"
            raise InputError(f"{path}: torch-tb-profiler cannot read it ({told})") from error
    return _tables(data)


def _load(path: Path) -> dict[str, Any]:
    """The trace as written. Raises InputError for anything else than one of torch.profiler."""
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if content.startswith(GZIP) else content
        trace: dict[str, Any] = json.loads(text)
    except (EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON, or cut off: {error}") from None
    except OSError as error:  # gzip raises one, too
        raise InputError(f"{path}: it cannot be read: {error}") from None
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        raise InputError(f"{path}: no trace of torch.profiler: it has no list `traceEvents`")
    if not any(_is_operator(event) for event in trace["traceEvents"]):
        raise InputError(f"{path}: no trace of torch.profiler, or an empty one: it has no operator")
    return trace


def _is_operator(event: Any) -> bool:
    # The second name is that of the first releases of torch.profiler; the plugin knows both.
    return isinstance(event, dict) and event.get("cat") in ("cpu_op", "Operator")


def _as_plugin_expects(events: list[Event]) -> Iterator[Event]:
    for event in events:
        category = event.get("cat")
        # The device's copy of `ProfilerStep#n` would be taken for another step.
        if category != "gpu_user_annotation":
            yield event | {"cat": RENAMED[category]} if category in RENAMED else event


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the plugin's messages, tens of thousands for some traces, and pandas' to it."""
    logger = logging.getLogger("pytorch_profiler")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _tables(data: Any) -> PluginTables:
    kernels, operators = _kernels(data), _operators(data)
    notes = [*_steps_left_out(data)]
    if kernels is not None and not operators["device_self_us"].any() and kernels["total_us"].any():
        columns = ["device_self_us", "device_total_us"]
        operators[columns] = float("nan")
        operators = operators.sort_values("host_self_us", ascending=False, kind="stable")
        notes.append(
            "times of operators on the device are missing:"
            " no kernel of this trace names an operator that launched it"
        )
    costs = [step.costs for step in data.steps_costs]
    steps = pd.Index(data.steps_names, name="step")
    return PluginTables(
        overview=pd.DataFrame(costs, index=steps, columns=list(ROLES), dtype=float),
        operators=operators,
        kernels=kernels,
        devices=_devices(data.gpu_metrics_parser),
        recommendations=tuple(_plain(text) for text in data.recommendations),
        notes=tuple(notes),
    )


def _operators(data: Any) -> pd.DataFrame:
    rows = {
        operator.name: {
            "calls": operator.calls,
            "device_self_us": float(operator.self_device_duration),
            "device_total_us": float(operator.device_duration),
            "host_self_us": float(operator.self_host_duration),
            "host_total_us": float(operator.host_duration),
        }
        for operator in data.op_list_groupby_name
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")
    order = ["device_self_us", "host_self_us"]
    return frame.sort_values(order, ascending=False, kind="stable")


def _kernels(data: Any) -> pd.DataFrame | None:
    if data.kernel_stat is None:
        return None
    names = {
        "count": "calls",
        "sum": "total_us",
        "mean": "mean_us",
        "min": "min_us",
        "max": "max_us",
        "blocks_per_sm": "blocks_per_sm",
        "occupancy": "occupancy_pct",
    }
    frame: pd.DataFrame = data.kernel_stat[list(names)].rename(columns=names).astype(float)
    metrics = data.gpu_metrics_parser  # where the trace has no such number, the plugin's mean is 0
    if not metrics.has_blocks_per_sm:
        frame["blocks_per_sm"] = float("nan")
    if not metrics.has_occupancy:
        frame["occupancy_pct"] = float("nan")
    return frame.astype({"calls": int})


def _devices(metrics: Any) -> pd.DataFrame | None:
    if not metrics.gpu_ids:
        return None
    devices = sorted(metrics.gpu_ids)
    fractions = {
        "utilization_pct": metrics.gpu_utilization,
        "sm_efficiency_pct": metrics.avg_approximated_sm_efficiency_per_device,
    }
    columns = {name: [by[device] for device in devices] for name, by in fractions.items()}
    frame = pd.DataFrame(columns, index=pd.Index(devices, name="device"), dtype=float) * 100
    frame["occupancy_pct"] = pd.Series(
        [metrics.avg_occupancy_per_device[device] for device in devices], frame.index, dtype=float
    )
    return frame


def _steps_left_out(data: Any) -> Iterator[str]:
    """A note where the overview has fewer steps than the trace."""
    found = sum(event.type == "ProfilerStep" for event in data.events)
    left_out = max(found, 1) - len(data.steps_names)
    if left_out > 0:
        yield f"the last {left_out} of {found} steps are not in the overview: they miss kernels"


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text))
