"""The directory of a piece of work that can be taken up again: what was begun there, and whether this is the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenfold.core import exit_codes
from tenfold.core.errors import InputError
from tenfold.core.files import locked, prepare_output, read_json, write_json
from tenfold.core.progress import note


@contextmanager
def opened(directory: Path, command: str, options: dict[str, Any]) -> Iterator[None]:
    """The directory, locked: empty, or one where the same sets were begun with the same options.

    Raises:
        InputError: it holds something else.
    """
    before = config_of(directory, command)
    if not before and not killed_at_the_start(directory):
        prepare_output(directory)
    with locked(directory):
        exit_codes.keep_in(directory)
        if before:
            changed = [name for name, value in options.items() if before["options"].get(name) != value]
            if changed == ["sets"]:
                raise InputError(f"the pictures are not those that {directory} began with; choose another --out")
            if changed:
                raise InputError(f"{directory} holds another run ({', '.join(changed)}); choose another --out")
            note(f"continuing in {directory}")
        else:
            write_json(directory / "config.json", {"command": command, "options": options})
        yield


def config_of(directory: Path, command: str) -> dict[str, Any]:
    """What the command's config.json holds; empty where there is none, or another command's."""
    try:
        found = read_json(directory / "config.json")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("command") == command else {}


def killed_at_the_start(directory: Path) -> bool:
    """Whether nothing is there but what a command leaves that was killed before its config.json."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return bool(names) and all(name == ".lock" or name.startswith(".config.json.") for name in names)
