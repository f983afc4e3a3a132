"""Published claims that tenfold repeats: each a file of code and, under the same name, one of the fixed words."""

from __future__ import annotations

from pathlib import Path


def claim_names() -> list[str]:
    """Every claim there is. It loads none of them, so that --help can name them at once."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))
