"""One path for each task: single-task learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mtmm.sharing.base import Island, MakePath, Sharing
from mtmm.spec import Features, SharedSpace


class Separate(Sharing):
    """Nothing is shared: each task trains as it would alone, bit for bit where nothing is dropped.

    Dropout and masks draw from one stream of random numbers, which tasks take in turn.
    """

    independent = True
    whole_paths = True

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__(make_path, tasks)
        self.paths = nn.ModuleList(make_path((task,)) for task in self.tasks)

    def islands(self) -> list[Island]:
        """See `Sharing.islands`."""
        paths = zip(self.tasks, self.paths, strict=True)
        return [Island((task,), list(path.parameters())) for task, path in paths]

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        paths = zip(self.tasks, self.paths, strict=True)
        return {task: path(inputs, present) for task, path in paths}, SharedSpace()
