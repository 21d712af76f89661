"""Two weightings in a plain PyTorch loop, three seeds of each."""

import torch
from torch.utils.data import DataLoader
from two_tasks import TRAIN, TRIVIAL, Net, accuracies

import bench
import mtmm
from mtmm.weighting import build


def train(name, seed):
    """A net trained by the weighting of that name."""
    torch.manual_seed(seed)
    net = Net()
    weighting = build(name, num_tasks=2)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(4):
        for batch in DataLoader(TRAIN, batch_size=32, shuffle=True):
            losses = net(**batch)
            optimizer.zero_grad()
            mtmm.backward(losses, weighting, net.trunk)
            optimizer.step()
    return net


if __name__ == "__main__":
    for name in ("equal", "pcgrad"):
        for seed in range(3):
            metrics = accuracies(train(name, seed))
            bench.record("plain", variant=name, seed=seed, metrics=metrics, trivial=TRIVIAL)
    print(bench.load("results/plain")[["variant", "seed", "test.score"]])
