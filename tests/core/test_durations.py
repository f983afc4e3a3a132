from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.errors import InputError
from tenfold.core.progress import about, duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("1h30m", 5400),
        ("90", 90),
        ("45s", 45),
        ("1.5h", 5400),
        ("1h 2m 3s", 3723),
        ("2H", 7200),
    ],
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
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (100, "1 min 40 s"),
        (3599.7, "1 h"),
        (3661, "1 h 1 min"),
        (7500, "2 h 5 min"),
        (90_000, "25 h"),
        (-0.001, "0 s"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(1, 1e6))
def test_what_is_printed_is_close_to_what_was_measured(seconds: float) -> None:
    printed = parse_duration(duration(seconds).replace("min", "m"))
    assert abs(printed - seconds) <= max(0.051, 0.5 if seconds < 3600 else 30.01)


def test_an_estimate_is_no_finer_than_it_can_be() -> None:
    assert [about(s) for s in (0, 3, 42, 61, 400, 4000)] == [
        "about 5 s",
        "about 5 s",
        "about 40 s",
        "about 1 min",
        "about 7 min",
        "about 1 h 7 min",
    ]
