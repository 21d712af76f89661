from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from mtmm.encoders.base import Encoder
from mtmm.encoders.torchvision import Torchvision
from mtmm.spec import Modality

COLOUR = Modality(name="image", kind="image", shape=(3, 64, 64))
GREY = Modality(name="image", kind="image", shape=(1, 28, 28))


def features_of(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the last linear layer of a network of torchvision reads."""
    read: dict[str, torch.Tensor] = {}
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda _, given: read.update(x=given[0]))
    net(x)
    return read["x"]


@pytest.mark.parametrize(
    ("model", "size", "stages"),
    [
        ("alexnet", 64, 4),
        ("convnext_tiny", 64, 9),
        ("mnasnet0_5", 64, 9),
        ("mobilenet_v3_small", 64, 14),
        ("regnet_y_400mf", 64, 6),
        ("resnet18", 64, 6),
        ("shufflenet_v2_x0_5", 64, 7),
        ("swin_t", 64, 9),
        pytest.param("vit_b_32", 224, 1, marks=pytest.mark.slow),  # 88 M, none is smaller
    ],
)
def test_the_feature_is_what_the_last_linear_layer_read(model: str, size: int, stages: int) -> None:
    torch.manual_seed(0)
    encoder = Torchvision(COLOUR, 8, model=model, size=size).eval()
    torch.manual_seed(0)
    net = models.get_model(model, weights=None).eval()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).vector, features_of(net, x), rtol=0, atol=0)
    assert len(encoder.stages) == stages


def test_squeezenet_ends_in_what_its_last_convolution_read() -> None:
    torch.manual_seed(0)
    encoder = Torchvision(COLOUR, 8, model="squeezenet1_1").eval()
    torch.manual_seed(0)
    net = models.squeezenet1_1().eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).vector, net.features(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a ResNet-18 that tells ten classes apart."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(models.resnet18(num_classes=10).state_dict(), path)
    return path


def test_weights_of_a_file_whatever_its_classes(file: Path) -> None:
    encoder = Torchvision(COLOUR, 8, model="resnet18", weights=str(file)).eval()
    net = models.resnet18(num_classes=10).eval()
    net.load_state_dict(torch.load(file))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).vector, features_of(net, x))


def test_weights_by_name_come_from_torchvisions_cache(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = models.resnet18().state_dict()
    name = models.ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    encoder = Torchvision(COLOUR, 8, model="resnet18", weights="IMAGENET1K_V1")
    mine = dict(encoder.named_parameters())["stages.block1.module.1.0.weight"]
    torch.testing.assert_close(mine, state["conv1.weight"])
    assert Torchvision.content(model="resnet18", weights="DEFAULT").endswith(name)


def test_the_content_is_that_of_the_file(file: Path, tmp_path: Path) -> None:
    assert Torchvision.content(model="resnet18") == f"torchvision {version('torchvision')}"
    before = Torchvision.content(model="resnet18", weights=str(file))
    other = tmp_path / "other.pth"
    other.write_bytes(file.read_bytes())
    assert Torchvision.content(model="resnet18", weights=str(other)) == before
    torch.save(models.resnet18(num_classes=10).state_dict(), other)
    assert Torchvision.content(model="resnet18", weights=str(other)) != before


def test_grey_images_are_read_as_colours_that_are_alike() -> None:
    torch.manual_seed(0)
    encoder = Torchvision(GREY, 8, size=64, normalize=True).eval()
    torch.manual_seed(0)
    net = models.resnet18().eval()
    x = torch.rand(2, 1, 28, 28)
    larger = nn.functional.interpolate(x, (64, 64), mode="bilinear", antialias=True)
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colour = (larger.repeat(1, 3, 1, 1) - mean[:, None, None]) / sd[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).vector, features_of(net, colour))


def test_tokens_are_the_positions_of_the_last_map() -> None:
    encoder = Torchvision(COLOUR, 8, model="resnet18").eval()
    features = encoder(torch.randn(2, 3, 64, 64))
    assert features.tokens is not None
    torch.testing.assert_close(features.tokens.mean(1), features.vector)
    assert Torchvision(COLOUR, 8, model="swin_t").map_stage is None


def broken(tmp_path: Path, file: Path) -> list[tuple[dict[str, Any], Modality, str]]:
    """Settings that will not do, and what is said of them."""
    (tmp_path / "text.pth").write_text("no weights")
    torch.save([1], tmp_path / "list.pth")
    of_file = {"weights": str(file)}
    return [
        ({"model": "resnet19"}, COLOUR, "did you mean 'resnet18'"),
        ({"weights": "IMAGENET1K_V7"}, COLOUR, "must be a file or one of: IMAGENET1K_V1, DEFAULT"),
        ({"weights": "gone.pth"}, COLOUR, "found gone.pth (No such file"),
        ({"weights": str(tmp_path)}, COLOUR, "Is a directory"),
        ({"weights": str(tmp_path / "text.pth")}, COLOUR, "that torch.save has written"),
        ({"weights": str(tmp_path / "list.pth")}, COLOUR, "holds something else"),
        ({"model": "resnet34", **of_file}, COLOUR, "it lacks layer1.2.conv1.weight"),
        ({"model": "resnet50", **of_file}, COLOUR, "it lacks"),
        ({"model": "wide_resnet50_2"} | of_file, COLOUR, "must be those of this network"),
        ({"model": "vit_b_16"}, COLOUR, "set `size`, as 224"),
        ({}, Modality(name="m", kind="image", shape=(2, 32, 32)), "must have 1 channel or 3"),
    ]


def test_what_will_not_do_is_said_before_anything_is_built(tmp_path: Path, file: Path) -> None:
    make: Callable[..., Encoder] = Torchvision
    for settings, modality, text in broken(tmp_path, file):
        with torch.device("meta"), pytest.raises(ValueError) as error:  # noqa: PT011
            make(modality, 8, **settings)
        assert text in str(error.value)


def test_weights_of_inception_get_the_inputs_they_were_trained_on(tmp_path: Path) -> None:
    net = models.googlenet(weights=None, init_weights=False, aux_logits=False)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    encoder = Torchvision(COLOUR, 8, model="googlenet", weights=str(tmp_path / "net.pth")).eval()
    assert len(encoder.stages) == 1  # it has no `features` that run one after another
    net.transform_input = True  # as torchvision does with weights
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).vector, features_of(net.eval(), x))
