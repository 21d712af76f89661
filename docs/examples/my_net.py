"""An ordinary network with two tasks and a shared trunk; ../wrap.md puts it into sweeps."""

from torch import nn

from mtmm import register
from mtmm.spec import ModelOutput, SharedSpace


@register("model", "my_net")
class MyNet(nn.Module):
    """Shared convolutions, a layer for each task in a ModuleDict."""

    def __init__(self, bundle, *, channels: int = 8, dropout: float = 0.0):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        heads = {task.name: nn.Linear(32 * channels, task.classes) for task in bundle.tasks}
        self.heads = nn.ModuleDict(heads)

    def forward(self, inputs, present):
        """From the batch's tensors by name to an output for each task."""
        z = self.trunk(inputs["image"])
        outputs = {name: head(z) for name, head in self.heads.items()}
        return ModelOutput(outputs=outputs, shared=SharedSpace(z=(z,)))

    def shared_space(self):
        """What tasks share, for weightings that take their gradients. May be left out."""
        return SharedSpace(theta={"trunk": tuple(self.trunk.parameters())}, last=self.trunk[3])

    def parts(self):
        """Names for `train.freeze`, `train.lr_scale` and the cost of parts. May be left out."""
        return {"trunk": self.trunk, **{f"heads.{name}": h for name, h in self.heads.items()}}
