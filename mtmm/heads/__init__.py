"""Heads by name: each kind of task has one of its own name, and there may be more."""

from __future__ import annotations

from mtmm.heads.base import Head
from mtmm.heads.classification import ClassificationHead
from mtmm.heads.multi_lenet import MultiLeNetHead
from mtmm.heads.multilabel import MultiLabelHead
from mtmm.heads.ordinal import OrdinalHead
from mtmm.heads.regression import RegressionHead

HEADS: dict[str, type[Head]] = {
    "classification": ClassificationHead,
    "multi_lenet": MultiLeNetHead,
    "multilabel": MultiLabelHead,
    "ordinal": OrdinalHead,
    "regression": RegressionHead,
}
