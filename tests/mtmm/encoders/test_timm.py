from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mtmm.encoders.timm import Timm
from mtmm.spec import Modality

timm = pytest.importorskip("timm")

COLOUR = Modality(name="image", kind="image", shape=(3, 160, 160))


def whole(model: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = timm.create_model(model, num_classes=0)
    return made.eval()


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("resnet10t", 25),
        ("test_convnext", 25),
        ("test_efficientnet", 25),
        ("mobilenetv3_small_050", 25),
        ("test_vit", 101),
    ],
)
def test_the_feature_is_the_networks_own(model: str, tokens: int) -> None:
    torch.manual_seed(0)
    encoder = Timm(COLOUR, 8, model=model).eval()
    net, x = whole(model), torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        features = encoder(x)
        torch.testing.assert_close(features.vector, net(x), rtol=0, atol=0)
    assert features.tokens is not None
    assert features.tokens.shape[1] == tokens == encoder.token_count
    assert parameters(encoder) == parameters(net)


@pytest.mark.parametrize(
    "model", ["mobilenetv3_small_050", "test_convnext", "test_vit", "xcit_nano_12_p16_224"]
)
def test_its_stages_have_no_parameter_in_common(model: str) -> None:
    side = 224 if model.endswith("224") else 160  # one whose blocks are in a ModuleList
    encoder = Timm(COLOUR, 8, model=model, size=side)
    features, pool = (set(stage.parameters()) for stage in encoder.stages.values())
    assert features
    assert not features & pool
    assert sum(map(parameters, encoder.stages.values())) == parameters(whole(model))
    encoder.to(torch.float64)  # what one stage runs moves with it
    encoder.eval()(torch.randn(1, 3, 160, 160, dtype=torch.float64))


def test_weights_of_a_file_and_what_they_are(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    net = whole("resnet10t", seed=5)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    x = torch.randn(1, 3, 160, 160)
    for file in ("net.pth", "net.safetensors"):
        encoder = Timm(COLOUR, 8, model="resnet10t", weights=str(tmp_path / file)).eval()
        with torch.no_grad():
            torch.testing.assert_close(encoder(x).vector, net(x))
        *_, digest = Timm.content(model="resnet10t", weights=str(tmp_path / file)).split()
        assert len(digest) == 64
    assert Timm.content(model="resnet10t") == f"timm {timm.__version__}"
    told = Timm.content(model="resnet18.a1_in1k", weights="pretrained")
    assert "resnet18.a1_in1k" in told
    with pytest.raises(ValueError, match="lacks"):
        Timm(COLOUR, 8, model="resnet18", weights=str(tmp_path / "net.pth"))


def test_what_will_not_do_is_said() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        Timm(COLOUR, 8, model="resnet19")
    with pytest.raises(ValueError, match="must be 'pretrained' or a file; found 'best'"):
        Timm.content(model="resnet18", weights="best")
    with pytest.raises(ValueError, match="timm has none for 'resnet18"):
        Timm.content(model="resnet18.nothing", weights="pretrained")
