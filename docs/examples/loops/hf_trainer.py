"""Two weightings in the Trainer of Hugging Face, with a model of one's own; three seeds of each."""

import torch
from transformers import Trainer, TrainingArguments
from two_tasks import TRAIN, TRIVIAL, Net, accuracies

import bench
import mtmm
from mtmm.weighting import build


class MultiTaskTrainer(Trainer):
    """A Trainer for a model that returns one loss a task."""

    def __init__(self, *args, weighting, **more):
        super().__init__(*args, **more)
        self.weighting = weighting

    def training_step(self, model, inputs, num_items_in_batch=None):
        """From a batch to gradients; returns the sum of the losses, for the log."""
        model.train()
        inputs = self._prepare_inputs(inputs)
        with self.compute_loss_context_manager():
            losses = model(**inputs)
        mtmm.backward(losses, self.weighting, model.trunk)
        return torch.stack(losses).detach().sum()


def train(name, seed):
    """A net trained by the weighting of that name."""
    arguments = TrainingArguments(
        num_train_epochs=4,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        seed=seed,
        use_cpu=True,
        remove_unused_columns=False,  # those of the labels count as unused
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    torch.manual_seed(seed)
    net = Net()
    weighting = build(name, num_tasks=2)
    MultiTaskTrainer(net, arguments, train_dataset=TRAIN, weighting=weighting).train()
    return net


if __name__ == "__main__":
    for name in ("equal", "pcgrad"):
        for seed in range(3):
            metrics = accuracies(train(name, seed))
            bench.record("trainer", variant=name, seed=seed, metrics=metrics, trivial=TRIVIAL)
