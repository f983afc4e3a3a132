from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.networks.backbone_classifier import BackboneNet, backbone_named, network_description, network_of

has_library = importlib.util.find_spec("transformers") is not None


def test_the_missing_extra_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as Python marks a module that cannot be imported
    with pytest.raises(InputError, match=r"pip install 'tenfold\[hub\]'"):
        backbone_named("somebody/some-network", 32)


@pytest.mark.skipif(not has_library, reason="needs the extra `hub`")
class TestWithTheLibrary:
    @pytest.fixture(params=["maps", "tokens"])
    def directory(self, request: Any, tmp_path: Path) -> str:
        import transformers as library

        if request.param == "maps":
            config = library.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        else:
            config = library.Dinov2Config(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
            )
            preparation = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
            (tmp_path / "preprocessor_config.json").write_text(json.dumps(preparation))
        with torch.random.fork_rng():
            network = library.AutoModel.from_config(config)
        network.save_pretrained(tmp_path)
        return str(tmp_path)

    def test_a_directory_is_a_backbone_and_is_built_again(self, directory: str) -> None:
        before = BackboneNet(backbone_named(directory, 28), 3, frozen=True).eval()
        again = network_of(
            json.loads(json.dumps(network_description(before))), (1, 9, 9), 3, before.state_dict()
        ).eval()
        images = torch.rand(2, 1, 9, 9, generator=Key("hub").torch_generator()) * 2 - 1
        with torch.inference_mode():
            rows = before.trunk(images)
            assert rows.shape == (2, before.trunk.feature_count) == (2, 16)
            assert torch.equal(again.trunk(images), rows)
        assert again.began_with == before.began_with

    def test_weights_that_may_run_code_are_refused(self, directory: str) -> None:
        weights = Path(directory) / "model.safetensors"
        torch.save({}, weights.with_name("pytorch_model.bin"))
        weights.unlink()
        with pytest.raises(InputError, match="no network can be had"):
            backbone_named(directory, 28)

    def test_a_directory_that_is_not_there_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(InputError, match=r"no network can be had.*model.safetensors"):
            backbone_named(str(tmp_path / "nothing"), 28)
