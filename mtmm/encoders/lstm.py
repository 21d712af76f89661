"""A word embedding and an LSTM over the words."""

from __future__ import annotations

from torch import nn

from mtmm.encoders.recurrent import Recurrent


class LSTM(Recurrent):
    """Embedding, then an LSTM (Hochreiter & Schmidhuber 1997).

    The feature is the top layer's hidden state after the last real word: texts are padded at the
    end and the network reads forward, so padding changes nothing. A text without words gives 0.
    `hidden` is the feature's width, the model's `width` unless said.
    """

    network = nn.LSTM
