"""Two weightings in two processes, each with half of every batch; three seeds of each."""

import tempfile

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from two_tasks import TRAIN, TRIVIAL, Net, accuracies

import bench
import mtmm
from mtmm.weighting import build


def mean(tensor):
    """The mean over all processes."""
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def distributed(net):
    """The net, from the same parameters in every process; each task's gradient is a mean."""
    model = DistributedDataParallel(net)
    for parameter in net.parameters():
        parameter.register_hook(mean)
    return model


def backward(model, batch, weighting):
    """The gradients of a batch, of which every process has a part of the same size."""
    with model.no_sync():  # the hooks have averaged by then
        losses = [loss - loss.detach() + mean(loss) for loss in model(**batch)]
        mtmm.backward(losses, weighting, model.module.trunk)


def train(name, seed):
    """A net trained by the weighting of that name, the same in every process."""
    torch.manual_seed(seed)
    net = Net()
    model = distributed(net)
    generator = torch.Generator().manual_seed(seed)  # methods draw the same everywhere
    weighting = build(name, num_tasks=2, generator=generator)
    optimizer = torch.optim.Adam(net.parameters())
    sampler = DistributedSampler(TRAIN, seed=seed)
    for epoch in range(4):
        sampler.set_epoch(epoch)
        for batch in DataLoader(TRAIN, batch_size=16, sampler=sampler):
            optimizer.zero_grad()
            backward(model, batch, weighting)
            optimizer.step()
    return net


def work(rank, meeting):
    """What each of the two processes does."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    for name in ("equal", "pcgrad"):
        for seed in range(3):
            metrics = accuracies(train(name, seed))
            if rank == 0:
                bench.record("ddp", variant=name, seed=seed, metrics=metrics, trivial=TRIVIAL)
    dist.barrier()  # nobody leaves while another still writes
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (f"{folder}/meeting",), nprocs=2)
