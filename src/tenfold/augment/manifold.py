"""Manifold MixUp: blends of what a network makes of two images, at a layer drawn anew for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.augment.mixing import soft_labels
from tenfold.augment.tensors import UNIT, Draws, Range, any_partner, beta, to_float
from tenfold.core.errors import did_you_mean

INPUT = "input"
"""The name of the images themselves, as the layer before the first."""


class ManifoldMixUp:
    """Runs a classifier on a batch and blends it with itself at one layer: the images or a hidden activation.

    Source: Verma et al. 2019, "Manifold Mixup". Deviation: a weight for each image, where the original draws one
    for the batch.

    Args:
        alpha: above 0, of Beta(alpha, alpha); the paper takes 2 for residual networks on CIFAR.
        layers: "input" and names of modules, as `network.named_modules()` has them; None takes `mixable_layers`.
        classes: K, needed when labels are class numbers.
        seed: begins the stream that is drawn from when a call brings no generator.
        value_range: of the floats that uint8 images become.

    Raises:
        ValueError: alpha is not above 0, or `layers` is empty.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        *,
        layers: Sequence[str] | None = None,
        classes: int | None = None,
        seed: int = 0,
        value_range: Range = UNIT,
    ) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha={alpha}: the Beta law takes a number above 0")
        if layers is not None and not layers:
            raise ValueError("layers is empty; name at least one, or leave it out for all that can be mixed")
        self.alpha, self.layers, self.classes = alpha, layers, classes
        self.value_range = value_range
        self._draws = Draws(seed)

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The network's logits of a blended batch, and its labels blended alike: both B x K.

        Args:
            network: a classifier.
            images: uint8 or float, as the network reads them.
            labels: class numbers B, or float rows B x K.

        Raises:
            ValueError: no such layer, or one that cannot be mixed.
        """
        return self.through(network, network, images, labels, generator)

    def through(
        self,
        network: nn.Module,
        forward: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same where a part of the network is run, such as its method that ends at the last hidden layer.

        Args:
            forward: calls modules of `network`, every layer that can be drawn among them.
        """
        layers = self._layers(network)
        generator = generator or self._draws.generator()
        images, soft = to_float(images, self.value_range), soft_labels(labels, self.classes, "ManifoldMixUp")
        layer = layers[int(torch.randint(len(layers), (1,), generator=generator, device=generator.device))]
        partner = any_partner(len(images), generator).to(images.device)
        weight = beta(self.alpha, len(images), generator).to(images.device)
        mixed_labels = _mixed(soft, partner, weight)
        if layer == INPUT:
            return forward(_mixed(images, partner, weight)), mixed_labels
        with _mixing_after(network, layer, partner, weight):
            return forward(images), mixed_labels

    def _layers(self, network: nn.Module) -> list[str]:
        if self.layers is None:
            return mixable_layers(network)
        known = [INPUT, *(name for name, _ in network.named_modules() if name)]
        for layer in self.layers:
            if layer not in known:
                raise ValueError(f"the network has no layer '{layer}'.{did_you_mean(layer, known)}")
        return list(self.layers)


def mixable_layers(network: nn.Module) -> list[str]:
    """The input and each child with weights that stands before the last linear layer, by name and in order.

    A Sequential that holds blocks, not single layers, is a list of them: its children are taken in its place.
    """
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    last = linear[-1] if linear else ""
    layers = [INPUT]
    for name, child in network.named_children():
        holds_last = last == name or last.startswith(f"{name}.")
        inside = dict(child.named_children()) if isinstance(child, nn.Sequential) else {}
        is_list = holds_last or any(next(part.children(), None) is not None for part in inside.values())
        parts = {f"{name}.{key}": part for key, part in inside.items()} if is_list and inside else {name: child}
        for key, part in parts.items():
            if last and (last == key or last.startswith(f"{key}.")):
                return layers
            if next(part.parameters(), None) is not None:
                layers.append(key)
    return layers[:-1] or [INPUT]  # without a linear layer the last one with weights makes the logits


def _mixed(values: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    """`weight` of each row and the rest of its partner; exact where the weight is 1."""
    shares = weight.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
    return torch.lerp(values.index_select(0, partner), values, shares)


@contextmanager
def _mixing_after(network: nn.Module, layer: str, partner: Tensor, weight: Tensor) -> Iterator[None]:
    """While it lasts the first output of that module is blended; the hook is gone afterwards, come what may."""
    calls = 0

    def mix(module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls > 1:
            return None  # a module that is used twice has its second input mixed already
        if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != len(partner):
            raise ValueError(
                f"the layer '{layer}' gives no row for each image and cannot be mixed; leave it out of layers="
            )
        return _mixed(output, partner, weight)

    hook = network.get_submodule(layer).register_forward_hook(mix)
    try:
        yield
    finally:
        hook.remove()
    if not calls:
        raise ValueError(f"the layer '{layer}' was not called, so nothing was mixed; leave it out of layers=")
