"""What a training leaves behind while it runs: checkpoints, a line of figures a step, and grids of fixed draws."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tenfold.augment.tensors import to_uint8
from tenfold.core.files import append_text, write_bytes, write_text
from tenfold.core.progress import Bar, progress, warn
from tenfold.generators.contest import Contest
from tenfold.generators.duel import Duel

GRIDS = 20
"""Grids of a training, about."""
SECONDS_BETWEEN_CHECKPOINTS = 20.0
BUDGET_SHARE = 0.9
"""Of the time given; the rest is for what stands before and after the training."""


class Keeper:
    """Keeps nothing and shows nothing: what trials use, which repeat a training rather than resume it."""

    def part(self, name: str) -> Keeper:
        """The keeper of one of several trainings that make one generator."""
        return self

    def checkpoint(self) -> bytes | None:
        """Where an earlier training stopped."""
        return None

    @contextmanager
    def progress(self, steps: int, done: int) -> Iterator[Bar]:
        yield Bar("", steps, done)

    def affordable_steps(self, seconds_a_step: float, done: int) -> int:
        """How many steps fit into the time given."""
        return 2**62

    def log(self, step: int, figures: Mapping[str, Tensor]) -> None:
        """What a step lost."""

    def look(self, duel: Duel, seen: Mapping[str, float], packed: bytes, contest: Contest, pictures: Tensor) -> None:
        """A sound look: its figures, the state as a file, and P x 8 pictures."""

    def trouble(self, step: int, text: str) -> None:
        """A look that ends in a roll-back."""


class DirectoryKeeper(Keeper):
    """Keeps checkpoint.safetensors, metrics.jsonl and grids/ in a directory, and shows the time left.

    Args:
        directory: where; a checkpoint that is there is taken up.
        title: of the progress shown.
        budget: seconds for the whole training; None is no limit.
        log_every: steps between two lines of metrics; losses are averaged over those between.
        every_grid: write a grid at every look in place of about twenty in all.
    """

    def __init__(
        self,
        directory: Path,
        title: str,
        *,
        budget: float | None = None,
        log_every: int = 10,
        every_grid: bool = False,
    ) -> None:
        self.directory, self.title, self.budget = directory, title, budget
        self.log_every, self.every_grid = log_every, every_grid
        self._started = self._kept = time.monotonic()
        self._sums: dict[str, Tensor] = {}
        self._count = self._next_grid = 0
        self._lines: list[str] = []
        self._board: Any = None

    def part(self, name: str) -> Keeper:
        return DirectoryKeeper(
            self.directory / name,
            f"{self.title}, {name}",
            budget=self.budget,
            log_every=self.log_every,
            every_grid=self.every_grid,
        )

    def checkpoint(self) -> bytes | None:
        path = self.directory / "checkpoint.safetensors"
        return path.read_bytes() if path.exists() else None

    @contextmanager
    def progress(self, steps: int, done: int) -> Iterator[Bar]:
        self._forget_after(done)
        self._board = _tensorboard(self.directory)
        with progress(self.title, steps, done) as bar:
            try:
                yield bar
            finally:
                self._flush()  # of a failed training too; a resume drops what is past its checkpoint
                if self._board is not None:
                    self._board.close()

    def affordable_steps(self, seconds_a_step: float, done: int) -> int:
        if self.budget is None:
            return super().affordable_steps(seconds_a_step, done)
        left = self.budget * BUDGET_SHARE - (time.monotonic() - self._started)
        return done + max(1, int(left / seconds_a_step))

    def log(self, step: int, figures: Mapping[str, Tensor]) -> None:
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value
        self._count += 1
        if step % self.log_every == 0:
            self._write(step, {name: round(value.item() / self._count, 5) for name, value in self._sums.items()})
            self._sums, self._count = {}, 0

    def look(self, duel: Duel, seen: Mapping[str, float], packed: bytes, contest: Contest, pictures: Tensor) -> None:
        told = {name: round(value, 4) for name, value in seen.items()}
        self._write(duel.step, told | {"augmentation_strength": round(duel.strength, 4)})
        last = duel.step >= duel.steps
        if self.every_grid or last or duel.step >= self._next_grid:
            self._grid(duel.step, pictures, contest.probe)
            self._next_grid = duel.step + max(1, duel.steps // GRIDS)
        if last or time.monotonic() - self._kept > SECONDS_BETWEEN_CHECKPOINTS:
            self._flush()  # first, so that the file never lacks lines of what a checkpoint has done
            write_bytes(self.directory / "checkpoint.safetensors", packed)
            self._kept = time.monotonic()

    def trouble(self, step: int, text: str) -> None:
        warn(f"{self.title}, step {step}: {text}; going back")
        self._write(step, {"trouble": text})

    def _write(self, step: int, figures: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps({"step": step, **figures}) + "\n")
        if self._board is not None:
            for name, value in figures.items():
                if not isinstance(value, str):
                    self._board.add_scalar(name, value, step)

    def _flush(self) -> None:
        append_text(self.directory / "metrics.jsonl", "".join(self._lines))
        self._lines = []

    def _forget_after(self, step: int) -> None:
        """Drop lines of steps that a killed run had done since its last checkpoint: they are done again."""
        path = self.directory / "metrics.jsonl"
        if path.exists():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            write_text(path, "".join(whole))

    def _grid(self, step: int, pictures: Tensor, conditions: Tensor) -> None:
        """One row a condition, which stands first where it is a picture."""
        if conditions.dim() == 4:
            pictures = torch.cat([conditions[:, None], pictures], 1)
        rows = torch.cat([torch.cat(list(row), 2) for row in pictures.cpu()], 1)
        pixels = np.moveaxis(to_uint8(rows), 0, 2).squeeze()
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        write_bytes(self.directory / "grids" / f"{step:06d}.png", content.getvalue())


def _tensorboard(directory: Path) -> Any:
    """A writer where the extra `tensorboard` is installed; else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory / "tensorboard"))
