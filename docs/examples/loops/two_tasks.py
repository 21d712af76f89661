"""What the loops beside this file train: script and slant of a character from its image."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mtmm.data import DATASETS

DATA = DATASETS["glyphs"](limit=1000).select(["image"], ["script", "slant"])


def samples(split, index):
    """Images and labels by name."""
    return {"image": split.inputs["image"][index]} | {
        task: labels[index] for task, labels in split.targets.items()
    }


TRAIN = [samples(DATA.train, i) for i in range(len(DATA.train))]
TEST = samples(DATA.test, slice(None))


class Net(nn.Module):
    """A trunk that the tasks share, and a head for each."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 64), nn.ReLU())
        self.heads = nn.ModuleDict({task.name: nn.Linear(64, task.classes) for task in DATA.tasks})

    def forward(self, image, **labels):
        """One loss a task, not added up."""
        z = self.trunk(image)
        return [cross_entropy(head(z), labels[task]) for task, head in self.heads.items()]


@torch.no_grad()
def accuracies(net):
    """The accuracy of each task on test."""
    z = net.trunk(TEST["image"])
    return {task: {"accuracy": _share(head(z).argmax(1), task)} for task, head in net.heads.items()}


def _share(predicted, task):
    return (predicted == TEST[task]).float().mean().item()


# The accuracy of always naming the most frequent class: the zero of a task's score.
TRIVIAL = {task: _share(labels.mode().values, task) for task, labels in DATA.train.targets.items()}
