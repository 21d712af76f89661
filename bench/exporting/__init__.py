"""Results for other tools: a file for each of them that says how."""

from __future__ import annotations

TARGETS = ("csv", "parquet", "wandb", "mlflow")
"""What results can be exported to."""

TRACKERS = ("wandb", "mlflow")
"""Those that take a run for each train record; the others take the frame."""
