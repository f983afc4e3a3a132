"""The state of a training: a clone in memory to go back to, or one safetensors file from which it goes on to the bit.

A state is named tensors and plain JSON values. Networks, what optimisers remember, random generators and any tensors
of a training's own are told apart by the first part of a tensor's name; weights have the parameter's name in the
network, an optimiser's slots the numbers of the parameter group and of the parameter in it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.core.manifest import verify_file

_directory: ContextVar[Path | None] = ContextVar("checkpoints", default=None)


@contextmanager
def checkpoints_in(directory: Path) -> Iterator[None]:
    """Named trainings inside keep their checkpoints here, hidden, and go on from those that they find."""
    token = _directory.set(directory)
    try:
        yield
    finally:
        _directory.reset(token)


def checkpoint_of(identity: str) -> Path | None:
    """Where a training of this identity keeps its checkpoint; None outside of any `checkpoints_in`."""
    name = f".{hashlib.sha256(identity.encode()).hexdigest()[:16]}.checkpoint.safetensors"
    return (directory := _directory.get()) and directory / name


HEADER = "training"
"""Where the file's header holds what is no tensor."""


@dataclass(eq=False)
class Parts:
    """Everything of a training that changes as it goes on, but for plain values; each by a name of its own."""

    networks: Mapping[str, nn.Module] = field(default_factory=dict)
    optimizers: Mapping[str, torch.optim.Optimizer] = field(default_factory=dict)
    generators: Mapping[str, torch.Generator] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    """Such as the weights of the best look; names may come and go."""


@dataclass(frozen=True, eq=False)
class State:
    """What the parts of a training held at one moment."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]
    """Plain JSON values. Floats go through JSON unharmed: what is written of them is exact."""

    @classmethod
    def of(cls, parts: Parts, values: Mapping[str, Any]) -> State:
        """As it is now; the tensors are those of the parts themselves, and change with them."""
        return cls(dict(_tensors(parts)), values)

    def clone(self) -> State:
        """One that stays as it is, on the same device and in the same memory formats."""
        return State({name: value.clone() for name, value in self.tensors.items()}, copy.deepcopy(dict(self.values)))

    def pack(self) -> bytes:
        """As a safetensors file."""
        tensors = {name: value.contiguous() for name, value in self.tensors.items()}
        return safetensors.torch.save(tensors, {HEADER: json.dumps(dict(self.values), sort_keys=True)})

    @classmethod
    def unpack(cls, file: bytes) -> State:
        """What `pack` gave.

        Raises:
            InputError: it is no such file.
        """
        try:
            # A safetensors file begins with the length of its JSON header, 8 bytes little-endian.
            header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
            return cls(safetensors.torch.load(file), dict(json.loads(header["__metadata__"][HEADER])))
        except (SafetensorError, LookupError, ValueError, TypeError, RecursionError) as error:
            raise _another() from error

    def restore(self, parts: Parts) -> dict[str, Tensor]:
        """Put the parts back to this state, in place.

        Returns:
            The training's own tensors by name, on the CPU or where they were.

        Raises:
            InputError: it is the state of another training.
        """
        tensors = dict(self.tensors)
        try:
            with torch.no_grad():
                for name, network in parts.networks.items():
                    network.load_state_dict({key: tensors.pop(f"{name}/{key}") for key in network.state_dict()})
                for name, optimizer in parts.optimizers.items():
                    _restore_optimizer(optimizer, f"optimizer/{name}", tensors)
            for name, generator in parts.generators.items():
                generator.set_state(tensors.pop(f"random/{name}"))
        except (RuntimeError, LookupError, TypeError) as error:
            raise _another() from error
        own = {name.removeprefix("own/"): value for name, value in tensors.items() if name.startswith("own/")}
        if len(own) < len(tensors):
            raise _another()
        return own


def _tensors(parts: Parts) -> Iterator[tuple[str, Tensor]]:
    for name, network in parts.networks.items():
        for key, value in network.state_dict().items():
            yield f"{name}/{key}", value.detach()
    for name, optimizer in parts.optimizers.items():
        for place, parameter in _parameters(optimizer):
            for slot, value in optimizer.state.get(parameter, {}).items():
                if value is not None:  # SGD's momentum before its first step
                    yield f"optimizer/{name}/{place}/{slot}", value.detach()
    for name, generator in parts.generators.items():
        yield f"random/{name}", generator.get_state()
    for name, value in parts.tensors.items():
        yield f"own/{name}", value.detach()


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Each parameter with the number of its group and its own number there: `0/3`."""
    for number, group in enumerate(optimizer.param_groups):
        for index, parameter in enumerate(group["params"]):
            yield f"{number}/{index}", parameter


def _restore_optimizer(optimizer: torch.optim.Optimizer, name: str, tensors: dict[str, Tensor]) -> None:
    slots: dict[str, dict[str, Tensor]] = {}
    for key in [key for key in tensors if key.startswith(f"{name}/")]:
        place, _, slot = key.removeprefix(f"{name}/").rpartition("/")
        slots.setdefault(place, {})[slot] = tensors.pop(key)
    optimizer.state.clear()
    for place, parameter in _parameters(optimizer):
        for slot, value in slots.pop(place, {}).items():
            optimizer.state[parameter][slot] = _as_made(value, slot, parameter, optimizer.defaults)
    if slots:
        raise LookupError(f"no parameters {sorted(slots)}")


def _as_made(value: Tensor, slot: str, parameter: Tensor, options: Mapping[str, Any]) -> Tensor:
    """A slot where, and in the memory format in which, the optimiser makes it: its kernels rely on both."""
    if slot == "step":
        on_device = options.get("fused") or options.get("capturable")
        return value.clone().to(parameter.device if on_device else "cpu")
    if value.shape == parameter.shape:
        return torch.zeros_like(parameter, dtype=value.dtype).copy_(value)
    return value.clone().to(parameter.device)


UNFIT = (
    InputError, SafetensorError, RuntimeError, LookupError, AttributeError, TypeError, ValueError, OverflowError,
)  # fmt: skip
"""What a description that was forged, or does not fit its weights, may end in."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file of weights.

    Raises:
        InputError: it is not as the manifest beside it says, or a weight is NaN or infinite.
        SafetensorError: it is no such file.
    """
    verify_file(path)
    weights: dict[str, Tensor] = safetensors.torch.load(path.read_bytes())
    for name, value in weights.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{path} holds weights that are NaN or infinite ({name}): it is damaged")
    return weights


def _another() -> InputError:
    return InputError("the checkpoint is of another training; choose another directory")
