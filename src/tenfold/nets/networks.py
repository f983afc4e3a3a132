"""Every network that a classifier may be, and how one that was kept is built again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tenfold.nets.blocks import channels_last
from tenfold.nets.classifiers import NETWORKS, SmallConvNet, VectorNet
from tenfold.nets.trunks import BackboneNet, backbone_net_of

Network = SmallConvNet | VectorNet | BackboneNet


def told_of(network: Network) -> dict[str, Any]:
    """What `network_of` needs beside the weights, the shape and the classes; plain JSON values."""
    told: dict[str, Any] = {"network": type(network).__name__}
    if isinstance(network, BackboneNet):
        return told | {"backbone": network.told()}
    return told | {"width": network.width}


def network_of(
    told: Mapping[str, Any], shape: tuple[int, int, int], class_count: int, weights: dict[str, Tensor]
) -> Network:
    """The network that was told so, with its weights, in the memory format of training.

    Raises:
        InputError: the package that holds its layers is not installed.
        LookupError, RuntimeError, TypeError, ValueError: the description and the weights do not fit.
    """
    if "backbone" in told:
        return backbone_net_of(told["backbone"], class_count, weights)
    network = NETWORKS[told["network"]](shape, class_count, int(told["width"]))
    network.load_state_dict(weights)
    return channels_last(network)
