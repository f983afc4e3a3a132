"""Networks of the transformers library, from a local directory or a hub, as sources of features; extra `hub`."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.networks.blocks import channels_last, resized
from tenfold.networks.convnet import Backbone

IMAGENET_MEAN, IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of what most networks were trained on, for those that do not say."""


class HubBackbone(Backbone):
    """A network of the transformers library; its pooled output, or its last maps or tokens averaged."""

    KIND = "hub"

    def __init__(self, network: nn.Module, description: Mapping[str, Any]) -> None:
        super().__init__()
        self.network, self._described = network, dict(description)
        self.side, self.feature_count = int(description["side"]), int(description["feature_count"])

    @classmethod
    def trained(cls, name: str, side: int) -> Self:
        """The network in this directory or of this name, with its weights.

        Raises:
            InputError: the extra `hub` is not installed, or there is no such network with safetensors weights.
        """
        library = _transformers()
        try:
            network = library.AutoModel.from_pretrained(name, use_safetensors=True)
            file = library.utils.cached_file(
                name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False
            )
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"no network can be had from '{name}': {' '.join(str(error).split())[:300]}; give a directory with "
                "config.json and model.safetensors, or a hub's name such as facebook/dinov2-small"
            ) from error
        preparation = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
        description = {
            "kind": cls.KIND,
            "config": network.config.to_json_string(use_diff=False),
            "side": side,
            "mean": list(preparation.get("image_mean") or IMAGENET_MEAN),
            "spread": list(preparation.get("image_std") or IMAGENET_SPREAD),
            "feature_count": 0,
        }
        backbone = cls(network.float().eval(), description)
        with torch.inference_mode():
            backbone.feature_count = backbone(torch.zeros(1, 3, side, side)).shape[1]
        backbone._described["feature_count"] = backbone.feature_count
        return channels_last(backbone)

    @classmethod
    def empty(cls, description: Mapping[str, Any]) -> Self:
        """The same network without values."""
        library = _transformers()
        values = json.loads(description["config"])
        config = library.AutoConfig.for_model(**values)
        with torch.device("meta"):
            return cls(library.AutoModel.from_config(config), description)

    def forward(self, images: Tensor) -> Tensor:
        colour = ((images + 1) / 2).expand(-1, 3, -1, -1)
        mean, spread = (colour.new_tensor(self._described[name])[:, None, None] for name in ("mean", "spread"))
        given = self.network(pixel_values=(resized(colour, self.side, self.side) - mean) / spread)
        pooled = getattr(given, "pooler_output", None)
        if pooled is None:
            last = given.last_hidden_state
            pooled = last.mean((2, 3)) if last.dim() == 4 else last.mean(1)
        features: Tensor = pooled.flatten(1)
        return features

    def description(self) -> dict[str, Any]:
        return dict(self._described)


def _transformers() -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise InputError("networks from a directory or a hub need the extra: pip install 'tenfold[hub]'")
    return importlib.import_module("transformers")
