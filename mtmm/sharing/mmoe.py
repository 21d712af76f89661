"""Experts that all tasks share, and a gate for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from torch import Tensor, nn

from mtmm.settings import Range
from mtmm.sharing.base import MakePath, Sharing
from mtmm.sharing.gates import Look, Softmax, mixed
from mtmm.spec import Features, SharedSpace

Experts = Annotated[int, Range(low=1, high=256)]


class Mixture(Sharing):
    """Whole paths as experts; a task's feature is their sum with the weights of its gate."""

    spaces = frozenset({"theta", "z"})
    fewest_tasks = 2
    joins_modalities = True

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        experts: int,
        make_gate: Callable[[int], nn.Module],
    ) -> None:
        super().__init__(make_path, tasks)
        # The first is the path of `hard`: with one expert it is the same model.
        places = ["", *(f"expert{i}" for i in range(1, experts))]
        self.experts = nn.ModuleList(make_path(self.tasks, place) for place in places)
        self.gated = experts > 1
        looks = [Look(make_path, (task,), "gate") for task in self.tasks if self.gated]
        self.looks = nn.ModuleList(looks)
        self.gates = nn.ModuleList(make_gate(look.width) for look in looks)
        self.theta = {"experts": tuple(self.experts.parameters())}

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        vectors = [expert(inputs, present).vector for expert in self.experts]
        shared = SharedSpace(theta=self.theta, z=tuple(vectors))
        if not self.gated:
            only = Features(vector=vectors[0], present=present)
            return dict.fromkeys(self.tasks, only), shared
        told = {}
        for task, look, gate in zip(self.tasks, self.looks, self.gates, strict=True):
            vector = mixed(gate(look(inputs, present)), vectors)
            told[task] = Features(vector=vector, present=present)
        return told, shared


class MMoE(Mixture):
    """Multi-gate mixture of experts (Ma et al. 2018): `experts` whole paths, softmax gates.

    A gate sees what a copy of every encoder's first stage, its task's own, makes of the inputs,
    averaged over positions. One expert is `hard`.
    """

    def __init__(self, make_path: MakePath, tasks: Sequence[str], *, experts: Experts = 3) -> None:
        super().__init__(make_path, tasks, experts, lambda width: Softmax(width, experts))

    @classmethod
    def path_count(cls, num_tasks: int, *, experts: int = 3) -> int:
        """Experts, and at most as much for each gate."""
        return experts + (num_tasks if experts > 1 else 0)
