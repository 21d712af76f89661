"""Imported once by the server that training processes are forked from: it only imports.

A process forked after PyTorch has computed in parallel or has used a GPU would hang or fail.
"""

from __future__ import annotations

import gc

import torch._dynamo  # noqa: F401 (PyTorch imports it with the first optimizer: over a second)

import bench.execution.worker  # noqa: F401 (and with it all that a cell runs through)

# What is there now stays: collections in the children leave it alone, and its pages shared.
gc.collect()
gc.freeze()
