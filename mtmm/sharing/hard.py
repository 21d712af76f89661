"""One path for all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mtmm.encoders.base import Encoder
from mtmm.paths import Path, SideBySide
from mtmm.sharing.base import MakePath, Sharing
from mtmm.spec import Features, SharedSpace


class Hard(Sharing):
    """Hard parameter sharing (Caruana 1997): encoders and fusion are shared, heads are not."""

    spaces = frozenset({"theta", "z", "last"})
    whole_paths = True

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__(make_path, tasks)
        self.path = make_path(self.tasks)
        # Once: a walk over the modules costs as much as a small layer.
        self.theta = {"path": tuple(self.path.parameters())}
        # In a tuple: as an attribute it would be registered a second time.
        self._last = (last_with_parameters(self.path),)

    @classmethod
    def path_count(cls, num_tasks: int, **settings: object) -> int:
        """One."""
        return 1

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        features = self.path(inputs, present)
        shared = SharedSpace(
            theta=self.theta,
            z=(features.vector,),
            last=self._last[0],
        )
        return dict.fromkeys(self.tasks, features), shared


def last_with_parameters(path: Path) -> nn.Module | None:
    """The fusion, or where that has none, with one modality, the last stage of the encoder.

    None where decisions are fused: each modality's encoder ends for itself.
    """
    if isinstance(path.fusion, SideBySide):
        return None
    *_, encoder = path.encoders
    assert isinstance(encoder, Encoder)
    for module in (path.fusion, *reversed(list(encoder.stages.values()))):
        if next(module.parameters(), None) is not None:
            return module
    return path.fusion
