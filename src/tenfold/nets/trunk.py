"""A network that has learned from other pictures, without its last layer: where a classifier may begin.

A trunk tells what it takes to build it again, so that a classifier on it is kept as weights and plain JSON like any
other.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """Pictures -> features."""

    feature_count: int
    """F."""

    @abstractmethod
    def forward(self, pictures: Tensor) -> Tensor:
        """Float B x C x H x W in [-1, 1], grey or colour, of any size -> B x F."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """What `trunk_of` needs to build the same network again, as plain JSON values; weights are kept apart."""

    def weights_hash(self) -> str:
        """The sha256 of all weights and of what is told of them."""
        digest = hashlib.sha256(repr(sorted(self.told().items())).encode())
        for name, value in self.state_dict().items():
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        return digest.hexdigest()
