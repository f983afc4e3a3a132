"""What is told of a training while it runs: progress, a line of figures now and then, and grids of images.

Callbacks are handed figures and images. They know no kind of training, and change none.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tenfold.augment.tensors import to_uint8
from tenfold.core.files import append_text, write_bytes, write_text
from tenfold.core.progress import Bar, progress, warn
from tenfold.training.step import Look

GRIDS = 20
"""Grids of a training, about."""


class Callback:
    """Does nothing; a subclass does something with what it is told."""

    def part(self, name: str) -> Callback:
        """The callback for one of several trainings, one after another, that make one thing."""
        return self

    def begin(self, number: int, steps: int) -> None:
        """A training begins, or goes on after `number` of its steps."""

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        """Step `number`, counted from 1, was taken; the losses are on the device, and not yet waited for."""

    def look(self, number: int, steps: int, look: Look) -> None:
        """A look after step `number` found all well."""

    def trouble(self, number: int, text: str) -> None:
        """After step `number` the training goes back, for this reason."""

    def before_checkpoint(self) -> Any:
        """A checkpoint is about to be written; what a resume would not tell again must be on the disk.

        Returns:
            Plain JSON values, which `resume` is given where the checkpoint is taken up.
        """

    def resume(self, state: Any) -> None:
        """What this told next depends on, as it was at the checkpoint; called before `begin`."""

    def end(self) -> None:
        """The training is over, or failed."""


_listeners: ContextVar[tuple[Callback, ...]] = ContextVar("listeners", default=())


@contextmanager
def telling(callback: Callback) -> Iterator[None]:
    """Every training inside tells this callback too, whoever starts it."""
    token = _listeners.set((*_listeners.get(), callback))
    try:
        yield
    finally:
        _listeners.reset(token)


def listeners() -> tuple[Callback, ...]:
    """Those of the blocks of `telling` around this call."""
    return _listeners.get()


class ProgressBar(Callback):
    """How far a training is and how long it still takes, on stderr."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._stack = ExitStack()
        self._bar: Bar | None = None
        self._note = ""

    def part(self, name: str) -> Callback:
        return ProgressBar(f"{self.title}, {name}")

    def begin(self, number: int, steps: int) -> None:
        self._bar = self._stack.enter_context(progress(self.title, steps, number))

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        assert self._bar is not None
        self._bar.total = steps
        self._bar.advance(number - self._bar.done, note=self._note)

    def look(self, number: int, steps: int, look: Look) -> None:
        self._note = look.note

    def trouble(self, number: int, text: str) -> None:
        warn(f"{self.title}, step {number}: {text}; going back")

    def end(self) -> None:
        self._stack.close()


class Metrics(Callback):
    """Keeps metrics.jsonl, and where the extra `tensorboard` is installed the same for its page.

    Args:
        every: steps between two lines; losses are averaged over those between. A look has a line of its own.
    """

    def __init__(self, directory: Path, every: int = 10) -> None:
        self.directory, self.every = directory, every
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._lines: list[str] = []
        self._board: Any = None

    def part(self, name: str) -> Callback:
        return Metrics(self.directory / name, self.every)

    def begin(self, number: int, steps: int) -> None:
        self._forget_after(number)
        self._board = _tensorboard(self.directory)

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, torch.zeros(())).to(value.device) + value
        self._count += 1
        if number % self.every == 0:
            self._write(number, {name: round(value.item() / self._count, 5) for name, value in self._sums.items()})
            self._sums, self._count = {}, 0

    def look(self, number: int, steps: int, look: Look) -> None:
        if look.figures:
            self._write(number, {name: round(value, 4) for name, value in look.figures.items()})

    def trouble(self, number: int, text: str) -> None:
        self._write(number, {"trouble": text})

    def before_checkpoint(self) -> Any:
        self._flush()
        return {"count": self._count, "sums": [[name, value.item()] for name, value in self._sums.items()]}

    def resume(self, state: Any) -> None:
        self._count = state["count"]
        self._sums = {name: torch.tensor(value) for name, value in state["sums"]}

    def end(self) -> None:
        self._flush()  # of a failed training too; a resume drops what is past its checkpoint
        if self._board is not None:
            self._board.close()

    def _flush(self) -> None:
        append_text(self.directory / "metrics.jsonl", "".join(self._lines))
        self._lines = []

    def _write(self, number: int, figures: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps({"step": number, **figures}) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                if not isinstance(value, str):
                    self._board.add_scalar(name, value, number)

    def _forget_after(self, number: int) -> None:
        """Drop lines of steps that a killed run had done since its last checkpoint: they are done again."""
        path = self.directory / "metrics.jsonl"
        if path.exists():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= number]
            write_text(path, "".join(whole))


class Grids(Callback):
    """Keeps the images of looks as grids/<step>.png.

    Args:
        all_looks: in place of about twenty of them.
    """

    def __init__(self, directory: Path, all_looks: bool = False) -> None:
        self.directory, self.all_looks = directory, all_looks
        self._next = 0

    def part(self, name: str) -> Callback:
        return Grids(self.directory / name, self.all_looks)

    def before_checkpoint(self) -> Any:
        return self._next

    def resume(self, state: Any) -> None:
        self._next = state

    def look(self, number: int, steps: int, look: Look) -> None:
        if look.images is None or not (self.all_looks or number >= min(self._next, steps)):
            return
        self._next = number + max(1, steps // GRIDS)
        rows = torch.cat([torch.cat(list(row), 2) for row in look.images.cpu()], 1)
        pixels = np.moveaxis(to_uint8(rows), 0, 2).squeeze()
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        write_bytes(self.directory / "grids" / f"{number:06d}.png", content.getvalue())


def _tensorboard(directory: Path) -> Any:
    """A writer where the extra is installed; else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory / "tensorboard"))
