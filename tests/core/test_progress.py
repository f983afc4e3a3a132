from __future__ import annotations

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core import progress as module
from tenfold.core.errors import InputError
from tenfold.core.progress import Bar, about, duration, note, one_line, parse_duration, progress, warn

COLOUR = re.compile(r"\x1b\[[1-9][0-9;]*m")


class Clock:
    """Time that passes only when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(module.time, "monotonic", fake)
    return fake


def test_the_time_left_follows_the_pace(clock: Clock) -> None:
    bar = Bar("trials", 120, started=clock())
    assert bar.seconds_left() is None
    assert bar.line() == "trials 0/120"
    clock.now += 60
    bar.advance(40, note="classical, fold 3")
    assert bar.seconds_left() == pytest.approx(120)
    assert bar.line() == "trials 40/120, about 2 min left, classical, fold 3"
    clock.now += 30
    assert bar.seconds_left() == pytest.approx(90), "it counts down while a piece is at work"
    clock.now += 1000
    assert bar.seconds_left() == 0


def test_what_an_earlier_run_finished_does_not_flatter_the_pace(clock: Clock) -> None:
    bar = Bar("trials", 120, done=100, started=clock())
    assert bar.seconds_left() is None
    clock.now += 10
    bar.advance()
    assert bar.seconds_left() == pytest.approx(190)


def test_a_log_gets_a_line_at_the_start_now_and_then_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("trials", 30) as bar:
        for _ in range(30):
            clock.now += 1
            bar.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "trials 0/30",
        "trials 10/30, about 20 s left",
        "trials 20/30, about 10 s left",
        "trials 30/30, 30 s",
    ]


def test_progress_that_ends_early_says_nothing_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress("trials", 3):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "trials 0/3\n"


def test_what_the_user_named_is_neither_markup_nor_a_second_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("[red]a.png[/red]: unreadable")
    warn("two\nlines\r\x1b[31m")
    assert capsys.readouterr().err == "[red]a.png[/red]: unreadable\nwarning: two lines  [31m\n"
    assert one_line("ümläut 花 🙂 caf\udce9") == "ümläut 花 🙂 caf\udce9"


def test_an_estimate_of_the_caller_goes_before_the_mean_pace(clock: Clock) -> None:
    bar = Bar("trials", 4, started=clock())
    clock.now += 10
    bar.advance(seconds_left=300)
    clock.now += 60
    assert bar.seconds_left() == 240
    bar.advance()
    assert bar.seconds_left() == pytest.approx(70), "no estimate given: the mean pace again"


def test_a_reader_of_stderr_that_is_gone_ends_no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with progress("trials", 2) as bar:
        bar.advance(2)
    assert bar.done == 2


@pytest.mark.parametrize("coloured", [True, False])
def test_a_terminal_gets_a_live_bar_and_notes_above_it(coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not coloured:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("trials [dim]", 3) as bar:
        note("[bold]a.png[/bold]: unreadable")
        bar.advance(3)
    for words in ("trials", "3/3", "[bold]a.png[/bold]: unreadable"):
        assert words in terminal.getvalue()
    assert bool(COLOUR.search(terminal.getvalue())) == coloured


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("90", 90), ("45s", 45), ("1.5h", 5400), ("1h 2m 3s", 3723), ("2H", 7200)],
)
def test_written_durations_are_understood(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "-5m", "m", "30x", "1m1h", "1e9", "nan", "inf", "٣m", "9" * 400, "1..5h"]
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="write 45s, 15m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (-0.001, "0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min"), (100, "1 min 40 s")),
        *((3599.7, "1 h"), (3661, "1 h 1 min"), (7500, "2 h 5 min"), (90_000, "25 h")),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(1, 1e6))
def test_what_is_printed_is_close_to_what_was_measured(seconds: float) -> None:
    printed = parse_duration(duration(seconds).replace("min", "m"))
    assert abs(printed - seconds) <= max(0.051, 0.5 if seconds < 3600 else 30.01)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "5 s"), (3, "5 s"), (42, "40 s"), (61, "1 min"), (400, "7 min"), (4000, "1 h 7 min")]
)
def test_an_estimate_is_no_finer_than_it_can_be(seconds: float, text: str) -> None:
    assert about(seconds) == f"about {text}"
