"""Randomness by name: `Key("seed-0") / "repeat-2" / "cgan"` always gives the same draws.

A key is a path. Its hash is a seed, and the seed makes an explicit generator, so that no result depends on
what else ran before, in which process, or in which order. The global generators are never touched.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Key:
    """The name of a source of randomness."""

    path: str

    def __truediv__(self, name: object) -> Key:
        """The key of a part: independent of its parent and of its siblings."""
        return Key(f"{self.path}/{name}")

    @property
    def seed(self) -> int:
        """63 bits of the path's hash: what both torch and numpy accept as a seed."""
        return int.from_bytes(hashlib.sha256(self.path.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1

    def torch_generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """A fresh generator on `device`, always starting at the same state."""
        import torch

        generator = torch.Generator(device)
        generator.manual_seed(self.seed)
        return generator

    def numpy_generator(self) -> np.random.Generator:
        """A fresh numpy generator, always starting at the same state."""
        import numpy as np

        return np.random.default_rng(self.seed)
