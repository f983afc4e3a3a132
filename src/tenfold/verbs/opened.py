"""The directory of a piece of work that can be taken up again: what was begun there, and whether this is the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenfold.core import crash
from tenfold.core.errors import InputError
from tenfold.core.files import locked, prepare_output, read_json, write_json
from tenfold.core.progress import note


@contextmanager
def opened(directory: Path, command: str, options: dict[str, Any]) -> Iterator[None]:
    """The directory, locked: empty, or one where the same sets were begun with the same options.

    Raises:
        InputError: it holds something else.
    """
    path = directory / "config.json"
    before = _config(path, command)
    names = [found.name for found in directory.iterdir()] if directory.is_dir() else []
    killed_at_the_start = names and all(name == ".lock" or name.startswith(".config.json.") for name in names)
    if not before and not killed_at_the_start:
        prepare_output(directory)
    with locked(directory):
        crash.keep_in(directory)
        if before:
            changed = [name for name, value in options.items() if before["options"].get(name) != value]
            if changed == ["sets"]:
                raise InputError(f"the pictures are not those that {directory} began with; choose another --out")
            if changed:
                raise InputError(f"{directory} holds another run ({', '.join(changed)}); choose another --out")
            note(f"continuing in {directory}")
        else:
            write_json(path, {"command": command, "options": options})
        yield


def _config(path: Path, command: str) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("command") == command else {}
