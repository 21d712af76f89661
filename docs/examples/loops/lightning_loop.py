"""Two weightings in Lightning, by manual optimization; three seeds of each."""

import logging

import lightning
import torch
from torch.utils.data import DataLoader
from two_tasks import TRAIN, TRIVIAL, Net, accuracies

import bench
import mtmm
from mtmm.weighting import build


class TwoTasks(lightning.LightningModule):
    """A net, and the weighting of its tasks."""

    def __init__(self, name):
        super().__init__()
        self.automatic_optimization = False
        self.net = Net()
        self.weighting = build(name, num_tasks=2)

    def configure_optimizers(self):
        """Adam for the net."""
        return torch.optim.Adam(self.net.parameters())

    def training_step(self, batch, index):
        """From a batch to a step of the optimizer."""
        losses = self.net(**batch)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        mtmm.backward(losses, self.weighting, self.net.trunk)
        optimizer.step()


def train(name, seed):
    """A net trained by the weighting of that name."""
    torch.manual_seed(seed)
    module = TwoTasks(name)
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = lightning.Trainer(max_epochs=4, accelerator="cpu", **dict.fromkeys(off, False))
    trainer.fit(module, DataLoader(TRAIN, batch_size=32, shuffle=True))
    return module.net


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for name in ("equal", "pcgrad"):
        for seed in range(3):
            metrics = accuracies(train(name, seed))
            bench.record("lightning", variant=name, seed=seed, metrics=metrics, trivial=TRIVIAL)
