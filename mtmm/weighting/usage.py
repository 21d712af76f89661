"""How a weighting is used: settings that every method has besides its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from torch import Tensor

from mtmm.settings import Range, listed
from mtmm.spec import Space

if TYPE_CHECKING:
    from mtmm.weighting.base import Weighting

Heads = Literal["unit", "weighted"]
Kept = Literal["stored", "lean"]
SumTo = Literal["none", 1, "T"]


def usage(
    *,
    space: Literal["theta", "z", "last"] | None = None,
    heads: Literal["unit", "weighted"] | None = None,
    sum_to: Literal["none", 1, "T"] = "none",
    every: Annotated[int, Range(low=1, high=1_000_000)] = 1,
    gradients: Literal["stored", "lean"] | None = None,
) -> None:
    """How a weighting is used, whatever its method; null is the method's own choice.

    `space` is where the task gradients are taken: `theta` shared parameters, `z` the shared
    representation of the batch, `last` the last shared module; methods that need losses only have
    none. `heads` says whether the parameters of one task alone get its gradient as it is (`unit`)
    or times its weight. `sum_to` rescales the weights so that they sum to 1 or to the number of
    tasks; `none` leaves them as published. New weights are found in one of `every` steps, and used
    until the next. In `theta`, `stored` keeps the task gradients and combines them; `lean` keeps
    their inner products only, which takes a backward pass more and far less memory.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The settings of `usage` for one method, none of them left open."""

    space: Space | None
    heads: Heads
    sum_to: SumTo
    every: int
    gradients: Kept | None

    @classmethod
    def of(cls, method: type[Weighting], given: Mapping[str, Any]) -> Self:
        """What is `given`, else the method's own choice.

        Raises ValueError for what the method does not have.
        """
        space = given.get("space") or method.space
        stored: Kept | None = None if space is None else "stored"
        made = cls(
            space=space,
            heads=given.get("heads") or method.heads,
            sum_to=given.get("sum_to", "none"),
            every=given.get("every", 1),
            gradients=given.get("gradients") or stored,
        )
        wrong = made._wrong(method)
        if wrong is not None:
            raise ValueError(wrong)
        return made

    def _wrong(self, method: type[Weighting]) -> str | None:
        kind = f"a method that needs the {method.needs}"
        if self.space is not None and self.space not in method.spaces:
            rule = f"must be one of: {listed(sorted(method.spaces))}"
            rule = rule if method.spaces else "must be null"
            return f"`space` of {kind} {rule}; found '{self.space}'"
        if method.needs == "losses" and self.heads != "weighted":
            return f"`heads` of {kind} must be 'weighted'; found '{self.heads}'"
        if method.needs == "losses" and self.every != 1:
            return f"`every` of {kind} must be 1: they cost nothing; found {self.every}"
        if self.gradients == "lean" and self.space != "theta":
            return f"`gradients` can be 'lean' in the space theta; found '{self.space}'"
        if method.needs == "jacobian":
            if self.heads != "unit" or self.sum_to != "none" or self.every != 1:
                text = "gives no weights: `heads` must be 'unit', `sum_to` 'none' and `every` 1"
                return f"{kind} {text}; found '{self.heads}', '{self.sum_to}' and {self.every}"
            if self.gradients == "lean":
                return f"`gradients` of {kind} must be 'stored'; found 'lean'"
        return None

    def rescaled(self, weights: Tensor) -> Tensor:
        """The weights `[T]` as they are used; left as they are where their sum is not above 0."""
        if self.sum_to == "none":
            return weights
        total = weights.sum()
        target = len(weights) if self.sum_to == "T" else 1
        return weights * (target / total).where(total > 0, 1.0)
