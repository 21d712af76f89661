"""A word embedding and a GRU over the words."""

from __future__ import annotations

from torch import nn

from mtmm.encoders.recurrent import Recurrent


class GRU(Recurrent):
    """Embedding, then gated recurrent units (Cho et al. 2014, arXiv 1406.1078).

    The feature is the top layer's state after the last real word, as of `lstm`: padding changes
    nothing, and a text without words gives 0. `hidden` is the feature's width, the model's `width`
    unless said.
    """

    network = nn.GRU
