"""The state of a training as one safetensors file, from which it goes on to the bit."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tenfold.core.errors import InputError

Networks = Mapping[str, nn.Module]
Optimizers = Mapping[str, torch.optim.Adam]
TOLD = "training"
"""Where the file's header holds what is no tensor."""


def packed(networks: Networks, optimizers: Optimizers, random: torch.Generator, told: Mapping[str, Any]) -> bytes:
    """Weights, what the optimisers remember, the draws to come, and plain JSON values, as a safetensors file."""
    # Floats go through JSON unharmed: what is written of them is exact.
    tensors = dict(_tensors(networks, optimizers, random))
    return safetensors.torch.save(tensors, {TOLD: json.dumps(dict(told), sort_keys=True)})


def unpack(
    file: bytes, networks: Networks, optimizers: Optimizers, random: torch.Generator, told: Collection[str]
) -> dict[str, Any]:
    """Take up what `packed` gave, in place.

    Args:
        told: names of the plain values.

    Returns:
        The plain values.

    Raises:
        InputError: it is no such file, or of other networks.
    """
    values = values_in(file)
    try:
        tensors = safetensors.torch.load(file)
        for name, network in networks.items():
            network.load_state_dict({key: tensors.pop(f"{name}/{key}") for key in network.state_dict()})
        for name, optimizer in optimizers.items():
            optimizer.state.clear()
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                prefix = f"{name}_optimizer/{index}/"
                for slot in [key for key in tensors if key.startswith(prefix)]:
                    value = tensors.pop(slot)
                    # In the parameter's own memory format, as the optimiser made it.
                    kept = torch.zeros_like(parameter).copy_(value) if value.dim() else value.to(parameter.device)
                    optimizer.state[parameter][slot.removeprefix(prefix)] = kept
        random.set_state(tensors.pop("random"))
        if tensors:
            raise ValueError(f"also holds {sorted(tensors)}")
        return {name: values[name] for name in told}
    except (SafetensorError, RuntimeError, LookupError, ValueError, TypeError) as error:
        raise _another() from error


def values_in(file: bytes) -> dict[str, Any]:
    """The plain values alone, which are known before networks are made.

    Raises:
        InputError: it is no such file.
    """
    try:
        # A safetensors file begins with the length of its JSON header, 8 bytes little-endian.
        (length,) = struct.unpack_from("<Q", file)
        return dict(json.loads(json.loads(file[8 : 8 + length])["__metadata__"][TOLD]))
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise _another() from error


def _tensors(networks: Networks, optimizers: Optimizers, random: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            yield f"{name}/{key}", value.detach().contiguous()
    for name, optimizer in optimizers.items():
        for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
            for slot, value in optimizer.state.get(parameter, {}).items():
                yield f"{name}_optimizer/{index}/{slot}", value.contiguous()
    yield "random", random.get_state()


def _another() -> InputError:
    return InputError("the checkpoint is of another training; choose another directory")
