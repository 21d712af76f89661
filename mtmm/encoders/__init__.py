"""Encoders by name: from one modality to features."""

from __future__ import annotations

from mtmm.encoders.article_cnn import ArticleCNN
from mtmm.encoders.bag import Bag
from mtmm.encoders.base import Encoder
from mtmm.encoders.gru import GRU
from mtmm.encoders.identity import Identity
from mtmm.encoders.lenet import LeNet
from mtmm.encoders.lstm import LSTM
from mtmm.encoders.mlp import MLP
from mtmm.encoders.multi_lenet import MultiLeNet
from mtmm.encoders.resnet18 import ResNet18
from mtmm.encoders.timm import Timm
from mtmm.encoders.torchvision import Torchvision
from mtmm.encoders.transformer import Transformer
from mtmm.encoders.vit_small import ViTSmall

ENCODERS: dict[str, type[Encoder]] = {
    "article_cnn": ArticleCNN,
    "bag": Bag,
    "gru": GRU,
    "identity": Identity,
    "lenet": LeNet,
    "lstm": LSTM,
    "mlp": MLP,
    "multi_lenet": MultiLeNet,
    "resnet18": ResNet18,
    "timm": Timm,
    "torchvision": Torchvision,
    "transformer": Transformer,
    "vit_small": ViTSmall,
}
