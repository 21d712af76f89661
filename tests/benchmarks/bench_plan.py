"""How long `plan` of 10,000 variants takes beyond `import torch`, and `--help` beyond Python.

Each is a command of its own, run in turns with the bare start that it is compared with.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SUITE = """\
name: ten-thousand
dataset: {name: glyphs, word_dropout: 0.5, limit: 4000}
tasks: [script, category, slant]
model: {encoders: {image: lenet, text: lstm}}
sweep:
  - fusion: [concat, sum]
    weighting: [equal, uncertainty]
    model.width: [16, 24, 32, 48, 64]
    encoders.image.channels: [4, 8, 12, 16, 24]
    train.optimizer.lr: [1e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2]
    train.batch_size: [16, 32, 64, 128, 256]
    train.epochs: [1, 2]
timing: off
single_task: off
"""
ROUNDS = 7


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "suite.yaml")
        suite.write_text(SUITE)
        plan = ("-m", "bench", "plan", str(suite), "--results", str(Path(folder, "results")))
        pairs = {
            "plan of 10,000 variants, beyond `import torch`": (plan, ("-c", "import torch")),
            "--help, beyond Python's start": (("-m", "bench", "--help"), ("-c", "pass")),
        }
        for what, (command, bare) in pairs.items():
            seconds(*command)  # files of the first run come from the disk
            beyond = [seconds(*command) - seconds(*bare) for _ in range(ROUNDS)]
            told = f"median {median(beyond):.2f} s, {min(beyond):.2f} to {max(beyond):.2f} s"
            print(f"{what}: {told} (n = {ROUNDS})")


if __name__ == "__main__":
    main()
