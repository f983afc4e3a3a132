"""The device that networks are trained and applied on: chosen in one place, with its memory, threads and clock.

Random draws come from CPU generators and are moved, so that every device gets the same draws. Arithmetic in float32
is full float32: TF32, which keeps 10 bits of 23, is off. On the CPU with one thread a training repeats to the bit.
On a GPU convolutions are deterministic too, but the gradients of `grid_sample` and of interpolation are summed in an
order that varies, and results on different kinds of devices differ by rounding: the kind is part of a job's hash.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from threadpoolctl import threadpool_limits

from tenfold.core.errors import InputError
from tenfold.core.memory import free_memory
from tenfold.core.parallel import available_cores as available_cores  # which others take from here

Precision = Literal["float32", "bfloat16"]

VARIABLE = "TENFOLD_DEVICE"
"""Environment variable that names the device where no option does."""
CONTEXT_BYTES = 600 * 2**20
"""GPU memory that a process takes for itself, before its first tensor."""
TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Of glibc's mallopt."""


@dataclass(frozen=True)
class Device:
    """Where networks, images and transforms live.

    Args:
        name: as torch writes it: `cpu`, `cuda:0`, `mps`.
        precision: of forward passes under `autocast` that ask for no other.
    """

    name: str = "cpu"
    precision: Precision = "float32"

    @classmethod
    def chosen(cls, name: str | None = None) -> Device:
        """The device of `--device`: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

        None asks the environment variable TENFOLD_DEVICE, and `auto`, the default, takes a GPU that is there.

        Raises:
            InputError: the name is none of these, or this computer has no such device.
        """
        name = name or os.environ.get(VARIABLE) or "auto"
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        kind, _, index = name.partition(":")
        if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdecimal())):
            raise InputError(f"no device is called '{name}'; choose auto, cpu, cuda, cuda:1 or mps")
        if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
            raise InputError(f"device {name} is not there: torch finds {torch.cuda.device_count()} CUDA devices here")
        if kind == "mps" and not torch.backends.mps.is_available():
            raise InputError("device mps is not there: it needs a Mac with an Apple processor")
        return cls(f"cuda:{index or 0}" if kind == "cuda" else kind)

    @property
    def torch(self) -> torch.device:
        """For `.to(...)`."""
        return torch.device(self.name)

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`: what a job's hash holds."""
        return self.torch.type

    @property
    def description(self) -> str:
        """For reports: the name, and of a GPU its model."""
        return f"{self.name} ({torch.cuda.get_device_name(self.torch)})" if self.kind == "cuda" else self.name

    @property
    def fused(self) -> bool:
        """Whether torch's optimisers have one kernel for all weights here."""
        return self.kind in ("cpu", "cuda", "mps")

    def autocast(self, precision: Precision | None = None, enabled: bool = True) -> AbstractContextManager[Any]:
        """Forward passes inside in this precision, or in the device's own."""
        half = (precision or self.precision) == "bfloat16" and enabled
        return torch.autocast(self.kind, torch.bfloat16) if half else nullcontext()

    def synchronise(self) -> None:
        """Wait until all that was asked of the device is done: before a clock is read."""
        if self.kind == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.kind == "mps":
            torch.mps.synchronize()

    def peak_bytes(self) -> int | None:
        """The most memory that this process has held: on a GPU there, else in all. None where nobody counts it."""
        if self.kind == "cuda":
            return torch.cuda.max_memory_reserved(self.torch)
        try:
            import resource
        except ImportError:  # Windows
            return None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def free_bytes(self) -> int | None:
        """Memory that more processes could take; None where nobody tells."""
        return torch.cuda.mem_get_info(self.torch)[0] if self.kind == "cuda" else free_memory()

    def workers(self, peak_bytes: int | None = None) -> int:
        """How many processes the device bears at once, at least 1.

        Args:
            peak_bytes: what each holds at most; None while that is unknown: all cores, or one process on a GPU.
        """
        cores = available_cores()
        if peak_bytes is None:
            return cores if self.kind == "cpu" else 1
        free = self.free_bytes()
        if free is None:
            return self.workers()
        each = peak_bytes if self.kind == "cpu" else peak_bytes + CONTEXT_BYTES
        return max(1, min(cores, free // max(1, each)))


_current: ContextVar[Device | None] = ContextVar("device", default=None)


def current_device() -> Device:
    """The device of the `using` block around this call; where there is none, of TENFOLD_DEVICE, or a GPU if any."""
    return _current.get() or _default(os.environ.get(VARIABLE))


@contextmanager
def using(device: Device) -> Iterator[Device]:
    """Work on this device inside the block: `with using(Device.chosen("cuda:1")): ...`."""
    state_precision(device)
    token = _current.set(device)
    try:
        yield device
    finally:
        _current.reset(token)


def state_precision(device: Device) -> None:
    """What the module's docstring says of TF32 and of convolutions."""
    if device.kind == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


@cache
def _default(name: str | None) -> Device:
    device = Device.chosen(name)
    state_precision(device)
    return device


def hardware() -> dict[str, Any]:
    """For reports: the processor's name, how many cores may be used, torch's version and the device in use."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
            processor = names[0] if names else processor
    except OSError:
        pass  # not Linux: what the platform says will do
    used = current_device().description
    return {"processor": processor, "cores": available_cores(), "torch": torch.__version__, "device": used}


_limited: ContextVar[int] = ContextVar("limited", default=0)
"""Threads of numpy's and scikit-learn's libraries inside `threads`."""


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Work on `count` processor threads inside this block, or in the function that this decorates; 0 is all cores.

    So do numpy and scikit-learn: two trials that fitted heads with two threads each waited for each other.
    """
    before, count = torch.get_num_threads(), count or available_cores()
    torch.set_num_threads(count)
    # To look for the libraries takes milliseconds, and what draws some images at a time is called very often.
    limited = nullcontext() if _limited.get() == count else threadpool_limits(count, user_api="blas")
    token = _limited.set(count)
    try:
        with limited:
            yield
    finally:
        _limited.reset(token)
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Train on one processor thread inside this block, or in the function that this decorates.

    Two threads in a network as small as ours are slower than one, and many times slower while a neighbour runs;
    other cores are used by other trials. One thread also makes the sums, and so the weights, the same everywhere.
    """
    with threads(1):
        yield


@cache
def keep_large_blocks() -> bool:
    """From here on this process keeps freed memory for its next tensors; False where the C library is another one.

    Clearing fetched pages took a quarter of a classifier's step at 28 x 28, a tenth at 32 x 32 x 3, a sixth of a
    generator's at 128 x 128 x 3, and over half of the time in which EfficientNet-Lite2 reads images at 224 pixels.
    The most that a training holds is the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))
