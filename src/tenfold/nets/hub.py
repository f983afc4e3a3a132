"""Networks from a hub or a local directory, in the layout of the transformers library (extra `hub`).

Weights are read from safetensors files alone. Nothing is fetched where HF_HUB_OFFLINE is set, and what was fetched
once is taken from the hub's own cache. A name that begins with `timm/` needs timm beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.nets.blocks import channels_last
from tenfold.nets.trunk import Trunk

IMAGENET_MEAN, IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of what most networks were trained on, for those that do not say."""


class HubTrunk(Trunk):
    """A network of the transformers library; its pooled output, or its last maps or tokens averaged."""

    KIND = "hub"

    def __init__(self, network: nn.Module, told: Mapping[str, Any]) -> None:
        super().__init__()
        self.network, self._told = network, dict(told)
        self.side, self.feature_count = int(told["side"]), int(told["feature_count"])

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
        told = {
            "kind": cls.KIND,
            "config": network.config.to_json_string(use_diff=False),
            "side": side,
            "mean": list(preparation.get("image_mean") or IMAGENET_MEAN),
            "spread": list(preparation.get("image_std") or IMAGENET_SPREAD),
            "feature_count": 0,
        }
        found = cls(network.float().eval(), told)
        with torch.inference_mode():
            found.feature_count = found(torch.zeros(1, 3, side, side)).shape[1]
        found._told["feature_count"] = found.feature_count
        return channels_last(found)

    @classmethod
    def empty(cls, told: Mapping[str, Any]) -> Self:
        """The same network without values."""
        library = _transformers()
        values = json.loads(told["config"])
        config = library.AutoConfig.for_model(**values)
        with torch.device("meta"):
            return cls(library.AutoModel.from_config(config), told)

    def forward(self, pictures: Tensor) -> Tensor:
        colour = ((pictures + 1) / 2).expand(-1, 3, -1, -1)
        mean, spread = (colour.new_tensor(self._told[name])[:, None, None] for name in ("mean", "spread"))
        if colour.shape[2:] != (self.side, self.side):
            size = (self.side, self.side)
            colour = F.interpolate(colour, size=size, mode="bilinear", align_corners=False, antialias=True)
        given = self.network(pixel_values=(colour - mean) / spread)
        pooled = getattr(given, "pooler_output", None)
        if pooled is None:
            last = given.last_hidden_state
            pooled = last.mean((2, 3)) if last.dim() == 4 else last.mean(1)
        features: Tensor = pooled.flatten(1)
        return features

    def told(self) -> dict[str, Any]:
        return dict(self._told)


def _transformers() -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise InputError("networks from a directory or a hub need the extra: pip install 'tenfold[hub]'")
    return importlib.import_module("transformers")
