"""Lengths of time as people write and read them: `1h30m` in, `1 min 40 s` out."""

from __future__ import annotations

import re

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
