"""One training by several processes, on one machine or more, as torchrun starts them.

Every process, or rank, draws the whole batch that one process would draw, from the same key, and learns from its
share of the rows. Gradients and losses are then averaged over the ranks, and batch normalisation takes its statistics
over the rows of all of them: a step is the one that a single process takes. What a clock or a look decides is decided
by the first rank, which alone writes: its checkpoint is that of one process.

Plain `torch.distributed`, no `DistributedDataParallel`: that watches one forward and one backward pass of a network,
and the step of a generator and a critic makes several of each, with the critic's weights held fixed in one.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.core.errors import InputError, SystemFault
from tenfold.networks.blocks import SeededDropout
from tenfold.training.device import Device

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of one training, seen from one of them; without any others nothing below does anything."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that decides, writes and tells."""
        return self.rank == 0

    def share(self, rows: Tensor, dim: int = 0) -> Tensor:
        """Of the rows of all, this rank's: every `count`th one, so that the first of all are the first of each.

        Raises:
            InputError: they cannot be shared evenly.
        """
        if self.count == 1:
            return rows
        if rows.shape[dim] % self.count:
            raise InputError(f"a batch of {rows.shape[dim]} cannot be shared evenly by {self.count} processes")
        return rows[(slice(None),) * dim + (slice(self.rank, None, self.count),)]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Make each the mean over all ranks, in place."""
        if self.count == 1:
            return
        flat = torch.cat([one.detach().flatten() for one in tensors])
        dist.all_reduce(flat)
        parts = (flat / self.count).split([one.numel() for one in tensors])
        with torch.no_grad():
            for one, mean in zip(tensors, parts, strict=True):
                one.copy_(mean.view_as(one))

    def agreed(self, value: T) -> T:
        """The first rank's value, which must be picklable."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box)
        agreed: T = box[0]
        return agreed

    def join(self, networks: Iterable[nn.Module]) -> None:
        """Give networks the first rank's weights, and the batch normalisation and dropout of a whole batch."""
        if self.count == 1:
            return
        for network in networks:
            for tensor in network.state_dict().values():
                whole = tensor.contiguous()
                with torch.no_grad():
                    dist.broadcast(whole, 0)
                    tensor.copy_(whole)
            for layer in network.modules():
                if isinstance(layer, _BatchNorm):
                    layer.__class__ = SharedBatchNorm
                elif isinstance(layer, SeededDropout):
                    layer.__class__ = SharedDropout


ALONE = Ranks()
_current: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)


def current_ranks() -> Ranks:
    """Those of the `together` block around this call; else this process alone."""
    return _current.get()


def launched() -> bool:
    """Whether torchrun has started this process and others."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ.get("WORLD_SIZE", 1)) > 1


def own_device(device: Device) -> Device:
    """Of the graphics cards of a machine the one that is this process's.

    Raises:
        InputError: more processes were started than there are cards.
    """
    if device.kind != "cuda" or not launched():
        return device
    return Device.chosen(f"cuda:{os.environ['LOCAL_RANK']}")


@contextmanager
def together(device: Device) -> Iterator[Ranks]:
    """Trainings inside are shared by the processes that torchrun has started, if it has.

    Raises:
        SystemFault: another of the processes has ended before its time.
    """
    if not launched() or current_ranks() is not ALONE:
        yield current_ranks()
        return
    try:
        _begin(device)
        token = _current.set(Ranks(dist.get_rank(), dist.get_world_size()))
        try:
            yield current_ranks()
        finally:
            _current.reset(token)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error).lower():
            raise SystemFault("another process of this training has ended; what it wrote says why") from error
        raise


def _begin(device: Device) -> None:
    """Find the other processes, once for all trainings of this one."""
    if dist.is_initialized():
        return
    # Loaded later it would keep the group in its defaults, whose threads then abort the program as it ends.
    importlib.import_module("torch.distributed.nn.functional")
    if device.kind == "cuda":
        torch.cuda.set_device(device.torch)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.kind == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)


class _Sum(torch.autograd.Function):
    """The sum over all ranks, whose slope is the sum of theirs, as often as it is asked for."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return _sum(slopes[0])


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]  # torch's own
    return total


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation with the mean and the variance of all ranks' rows; a layer becomes one in place.

    torch's SyncBatchNorm does the same on graphics cards alone.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """B x C or B x C x H x W -> the same."""
        hidden = hidden.float()  # half a precision is too little for sums
        count = hidden.numel() // self.num_features * current_ranks().count
        if not self.training or count == 1:
            mean, variance = self.running_mean, self.running_var
            return nn.functional.batch_norm(hidden, mean, variance, self.weight, self.bias, False, 0.0, self.eps)
        axes = [axis for axis in range(hidden.dim()) if axis != 1]
        shape = [1, -1] + [1] * (hidden.dim() - 2)
        mean = _sum(hidden.sum(axes)) / count
        centred = hidden - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1)))
        normal: Tensor = centred * (variance + self.eps).rsqrt().view(shape)
        return normal if self.weight is None else normal * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class SharedDropout(SeededDropout):
    """Dropout with this rank's rows of what is drawn for those of all; a layer becomes one in place."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or not self.share:
            return hidden
        ranks = current_ranks()
        whole = super().forward(torch.cat([torch.ones_like(hidden, device="cpu")] * ranks.count))
        return hidden * ranks.share(whole).to(hidden.device)
