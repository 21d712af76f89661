"""What a data set is: two functions with the same keyword-only settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mtmm.consistency import check_built
from mtmm.spec import DataBundle, Description, Legend


def _unknown(**settings: object) -> Legend:
    return Legend()


@dataclass(frozen=True)
class Dataset:
    """A data set: `build(**settings)` makes it, `describe(**settings)` only says what it would be.

    `describe` is called while planning: it answers in a fraction of a second and builds nothing.
    `legend(**settings)` says what token ids and classes stand for, to show them to people.
    """

    build: Callable[..., DataBundle]
    describe: Callable[..., Description]
    legend: Callable[..., Legend] = _unknown

    def __call__(self, **settings: object) -> DataBundle:
        """Build the data set; raises ValueError where it is not what it said it would be."""
        bundle = self.build(**settings)
        check_built(bundle, self.describe(**settings))
        return bundle

    @property
    def __wrapped__(self) -> Callable[..., DataBundle]:
        # The signature, and with it the settings, are those of `build`.
        return self.build
