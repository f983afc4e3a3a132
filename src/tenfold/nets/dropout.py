"""Dropout whose draws are named, and kept with the weights: a training that goes on repeats them to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from tenfold.core.keys import Key


class SeededDropout(nn.Module):
    """In training, a share of the values becomes 0, and the others grow to keep the mean; in eval mode, none does.

    torch's own draws from the global generator, whose state no checkpoint of ours holds. Here every pass has its own
    generator, named by the key and by how many passes there were. Both are in `state`, which travels in `state_dict`.

    Source: Srivastava et al. 2014.
    """

    state: Tensor
    """int64: the key's seed, and the passes so far."""

    def __init__(self, share: float, key: Key) -> None:
        """
        Args:
            share: of the values that become 0, 0 <= share < 1.
            key: names the draws; two layers of a network need two.

        Raises:
            ValueError: the share is not in that range.
        """
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"a share of 0 or more and less than 1 can be dropped, not {share}")
        self.share = share
        self.register_buffer("state", torch.tensor([key.seed, 0], device="cpu"))

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or not self.share:
            return hidden
        seed, passes = self.state.tolist()
        self.state[1] += 1
        random = (Key("dropout") / seed / passes).torch_generator(hidden.device)
        keep = 1 - self.share
        return hidden * torch.empty_like(hidden).bernoulli_(keep, generator=random).div_(keep)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Change nothing: the state is read at every pass, so it stays on the processor.

        It also has to outlast `build`, which replaces whatever a network holds by empty memory.
        """
        return self

    def extra_repr(self) -> str:
        return f"share={self.share}"
