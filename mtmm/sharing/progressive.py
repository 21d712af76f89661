"""What sharings share that give tasks experts of their own beside shared ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mtmm.encoders.base import State
from mtmm.paths import Path, Trails
from mtmm.sharing.base import MakePath, Sharing
from mtmm.sharing.gates import Look, Softmax, mixed
from mtmm.spec import Features, SharedSpace


class Progressive(Sharing):
    """Whole paths as experts, run in groups of stages (Tang et al. 2020, RecSys).

    Each task has a stream and `own` experts that read it; a shared stream is read by `shared`
    experts. Behind a group a gate of each task mixes its own and the shared experts into its
    stream, and a further gate all experts into the shared one. The last group has the fusion, and
    no gate for the shared stream.
    """

    spaces = frozenset({"theta"})
    fewest_tasks = 2
    joins_modalities = True

    def __init__(
        self, make_path: MakePath, tasks: Sequence[str], *, shared: int, own: int, levels: int
    ) -> None:
        super().__init__(make_path, tasks)
        self.shared = nn.ModuleList(make_path(self.tasks, f"expert{i}") for i in range(shared))
        self.own = nn.ModuleList(
            nn.ModuleList(make_path((task,), f"expert{i}") for i in range(own))
            for task in self.tasks
        )
        self.first = (next(path for path in self.shared if isinstance(path, Path)),)
        depth = self.first[0].depth
        if levels > depth:
            text = f"`levels` must be at most the stages of the longest encoder, {depth}"
            raise ValueError(f"{text}; found {levels}")
        self.groups = [range(depth * i // levels, depth * (i + 1) // levels) for i in range(levels)]
        looking = [(task,) for task in self.tasks] + [self.tasks] * (levels > 1)
        self.looks = nn.ModuleList(Look(make_path, users, "gate") for users in looking)
        reached = [own + shared] * len(self.tasks) + [own * len(self.tasks) + shared]
        self.gates = nn.ModuleList(
            nn.ModuleList(Softmax(self._seen(group), count) for count in reached[: len(looking)])
            for group in self.groups[:-1]
        )
        self.gates.append(
            nn.ModuleList(Softmax(self._seen(self.groups[-1]), own + shared) for _ in self.tasks)
        )
        self.theta = {"shared": tuple(self._common())}

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        start = self.first[0].start(inputs, present)
        streams: list[Trails] = [start for _ in range(len(self.tasks) + 1)]
        seen = [look(inputs, present) for look in self.looks]
        for number, group in enumerate(self.groups):
            weights = self._weights(number, seen)
            own, shared = self._run(streams, group)
            if number == len(self.groups) - 1:
                break
            reach = [[*experts, *shared] for experts in own]
            reach.append([trails for experts in own for trails in experts] + shared)
            streams = [
                _mixed(w, trails, stream)
                for w, trails, stream in zip(weights, reach, streams, strict=True)
            ]
            seen = [self.first[0].pooled(stream) for stream in streams]
        told = {}
        for i, task in enumerate(self.tasks):
            paths = [*self._paths(self.own[i]), *self._paths(self.shared)]
            ends = zip(paths, [*own[i], *shared], strict=True)
            vectors = [path.finish(trails, present).vector for path, trails in ends]
            told[task] = Features(vector=mixed(weights[i], vectors), present=present)
        return told, SharedSpace(theta=self.theta)

    def _run(
        self, streams: Sequence[Trails], group: range
    ) -> tuple[list[list[Trails]], list[Trails]]:
        """What the experts of each task, and the shared ones, make of their streams."""
        own = [
            [_through(path, stream, group) for path in self._paths(experts)]
            for experts, stream in zip(self.own, streams[:-1], strict=True)
        ]
        shared = [_through(path, streams[-1], group) for path in self._paths(self.shared)]
        return own, shared

    def _weights(self, number: int, seen: Sequence[Tensor]) -> list[Tensor]:
        gates = self.gates[number]
        assert isinstance(gates, nn.ModuleList)
        return [gate(x) for gate, x in zip(gates, seen, strict=False)]

    def _common(self) -> list[nn.Parameter]:
        """The parameters that reach more than one task: by the shared stream, those before it."""
        modules: list[nn.Module] = [self.shared]
        levels = len(self.groups)
        for experts in self.own:
            for path in self._paths(experts):
                for group in self.groups[:-1]:
                    modules += [stage for level in group for stage in path.level(level)]
        for number, gates in enumerate(self.gates):
            assert isinstance(gates, nn.ModuleList)
            # A task's stream is in the shared one a group later.
            modules += list(gates) if number < levels - 2 else list(gates)[len(self.tasks) :]
        modules += list(self.looks) if levels > 2 else list(self.looks)[len(self.tasks) :]
        return [parameter for module in modules for parameter in module.parameters()]

    def _seen(self, group: range) -> int:
        """What a gate sees: the first stage's output, later what the group before it has made."""
        return self.first[0].pooled_width(max(0, group.start - 1))

    @staticmethod
    def _paths(modules: nn.Module) -> list[Path]:
        return [path for path in modules.children() if isinstance(path, Path)]


def _through(path: Path, stream: Trails, group: range) -> Trails:
    for level in group:
        stream = path.advance(stream, level)
    return stream


def _mixed(weights: Tensor, experts: Sequence[Trails], before: Trails) -> Trails:
    """What the experts added to a stream, mixed stage by stage."""
    stream = {}
    for modality, trail in before.items():
        added = [name for name in experts[0][modality] if name not in trail]
        states = {
            name: State(
                mixed(weights, [trails[modality][name].x for trails in experts]),
                experts[0][modality][name].mask,
            )
            for name in added
        }
        stream[modality] = {**trail, **states}
    return stream
