"""How far the work is and how long it still takes, on stderr, so that stdout stays for results.

On a terminal a live bar; elsewhere (a log, a pipe) a plain line now and then. What users named is printed as
it is: a file called `[red].png` colours nothing.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tenfold.core.errors import InputError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"(\d+(?:\.\d+)?)"
_WRITTEN = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of `30m`, `1h30m`, `45s`, `1.5h` or a bare number of seconds.

    Raises:
        InputError: it is none of these, or no time at all.
    """
    match = _WRITTEN.fullmatch(text.strip().lower().replace(" ", ""))
    parts = match.groups() if match else (None, None, None)
    seconds = sum(float(number) * unit for number, unit in zip(parts, _UNITS.values(), strict=True) if number)
    if not 0 < seconds < float("inf"):
        raise InputError(f"'{text}' is not a length of time; write 45s, 15m or 1h30m")
    return seconds


def duration(seconds: float) -> str:
    """`0.4 s`, `1 min 40 s`, `2 h 5 min`: the two largest units that count."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 3600:
        large, small, units = *divmod(whole, 60), ("min", "s")
    else:
        large, small, units = *divmod(round(seconds / 60), 60), ("h", "min")
    return " ".join(f"{count} {unit}" for count, unit in zip((large, small), units, strict=True) if count)


def about(seconds: float) -> str:
    """An estimate, no finer than it can be: `about 40 s`, `about 7 min`."""
    step = 5 if seconds < 60 else 60
    return f"about {duration(max(step, step * round(seconds / step)))}"


SECONDS_BETWEEN_LINES = 10.0


def note(message: str) -> None:
    """One line on stderr; a live bar makes room for it."""
    # A closed terminal or pipe loses the line: that must not end a study that runs on.
    with suppress(OSError):
        sys.stderr.write(one_line(message) + "\n")
        sys.stderr.flush()


def warn(message: str) -> None:
    """One line on stderr about something that the user may want to change."""
    if tells():
        note(f"warning: {message}")


def tells() -> bool:
    """Whether this process says what all would say: of those that torchrun starts together the first."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which a file's name may hold."""
    return "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else " " for c in text).strip()


@dataclass
class Bar:
    """A count of finished pieces of work, and from their pace the time that the rest takes."""

    title: str
    total: int
    done: int = 0
    note: str = ""
    started: float = field(default_factory=lambda: time.monotonic())
    estimate: float | None = None
    """Seconds left as the caller last estimated them; where None, the mean pace so far decides."""

    def __post_init__(self) -> None:
        # What an earlier run had finished says nothing about the pace of this one.
        self._before, self._latest = self.done, self.started

    def advance(self, count: int = 1, note: str = "", seconds_left: float | None = None) -> None:
        """Say that `count` more pieces are finished; `note` tells what is going on.

        `seconds_left` is for pieces of unequal size, where the mean pace would mislead.
        """
        self.done += count
        self.estimate = seconds_left
        self.note = one_line(note)
        self._latest = time.monotonic()

    def seconds_left(self) -> float | None:
        """From the mean pace so far; None before anything is finished."""
        left = self.estimate
        if left is None:
            finished = self.done - self._before
            if finished <= 0:
                return None
            left = (self._latest - self.started) / finished * (self.total - self.done)
        return max(0.0, left - (time.monotonic() - self._latest))

    def line(self) -> str:
        """`trials 37/120, about 2 min left`."""
        left = self.seconds_left()
        if self.done >= self.total:
            state = f"{duration(time.monotonic() - self.started)}"
        else:
            state = f"{about(left)} left" if left is not None else ""
        return ", ".join(part for part in (f"{self.title} {self.done}/{self.total}", state, self.note) if part)


class _PlainBar(Bar):
    """Writes a line at the start, then at most one every ten seconds, then one at the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._written = self.started
        note(self.line())

    def advance(self, count: int = 1, note: str = "", seconds_left: float | None = None) -> None:
        super().advance(count, note, seconds_left)
        if self._latest - self._written >= SECONDS_BETWEEN_LINES and self.done < self.total:
            self._say()

    def _say(self) -> None:
        self._written = self._latest
        note(self.line())


@contextmanager
def progress(title: str, total: int, done: int = 0, seconds_left: float | None = None) -> Iterator[Bar]:
    """Show progress on stderr while the block runs: `with progress("trials", 120) as bar: bar.advance(1)`.

    `done` pieces were finished before, by a run that this one continues; `seconds_left` is a first estimate.
    """
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _live_bar(Bar(title, total, done, estimate=seconds_left)) as bar:
            yield bar
    else:
        bar = _PlainBar(title, total, done, estimate=seconds_left)
        yield bar
        if total:
            note(bar.line())


@contextmanager
def _live_bar(bar: Bar) -> Iterator[Bar]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def image() -> Table:
        row = Table.grid(padding=(0, 1))
        shown = ProgressBar(total=max(bar.total, 1), completed=bar.done, width=24)
        so_far = f"{duration(round(time.monotonic() - bar.started))} so far, " if bar.done < bar.total else ""
        row.add_row(shown, Text(so_far + bar.line(), no_wrap=True, overflow="ellipsis"))
        return row

    # What others write to stderr meanwhile appears above the bar.
    console = Console(stderr=True)
    with Live(console=console, get_renderable=image, refresh_per_second=4, redirect_stdout=False):
        yield bar
