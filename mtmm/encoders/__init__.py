"""Encoders by name: from one modality to features."""

from __future__ import annotations

from mtmm.encoders.article_cnn import ArticleCNN
from mtmm.encoders.base import Encoder
from mtmm.encoders.lenet import LeNet
from mtmm.encoders.lstm import LSTM
from mtmm.encoders.resnet18 import ResNet18

ENCODERS: dict[str, type[Encoder]] = {
    "article_cnn": ArticleCNN,
    "lenet": LeNet,
    "lstm": LSTM,
    "resnet18": ResNet18,
}
