"""What `grow`, `restyle` and `sample` share: a set is made once, however often the command is killed or given."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.core.files import write_json
from tenfold.core.manifest import write_manifest
from tenfold.core.output import UNFINISHED, new_directory
from tenfold.core.progress import note
from tenfold.methods import MethodFailed
from tenfold.runs.code import made_with
from tenfold.runs.directory import CODE, RunDirectory, asked_for, taken_up
from tenfold.training.checkpoint import checkpoints_in


@dataclass
class NewSet:
    """A directory that a command fills, or has filled before."""

    directory: Path
    folder: Path
    """Hidden: what is written there appears in the directory, all or nothing."""
    command: str
    options: Mapping[str, Any]
    reads: Mapping[str, str]
    found: bool
    """The same command has filled it: nothing is to be done."""
    kept: Mapping[str, Any]
    """What `finish` was told, now or then."""

    @contextmanager
    def trainings(self, free: Collection[str] = ()) -> Iterator[Path]:
        """Those inside keep their checkpoints in a hidden folder, which this gives, and go on from there.

        Args:
            free: options on which no training depends.

        Raises:
            InputError: there is work of other options, images or code.
            MethodFailed: from inside; then nothing is kept: it would fail again, and other options may be tried.
        """
        run = self.directory / UNFINISHED / "run"
        try:
            with (
                RunDirectory.opened(run, self.command, self.options, self.reads, changeable=free),
                checkpoints_in(run),
            ):
                yield run
        except MethodFailed:
            shutil.rmtree(run, ignore_errors=True)
            raise

    def finish(self, kept: Mapping[str, Any]) -> None:
        """All is in the folder: add config.json, which says what it is, and the hashes.

        Args:
            kept: plain JSON values, for who finds the set.
        """
        self.kept = kept
        asked = asked_for(self.command, self.options, self.reads)
        write_json(self.folder / "config.json", asked | {"made_with": made_with(), "result": dict(kept)})
        write_manifest(self.folder)


@contextmanager
def new_set(directory: Path, command: str, options: Mapping[str, Any], reads: Mapping[str, str]) -> Iterator[NewSet]:
    """The set that a command makes in a directory, which is to be empty or to hold this set.

    Args:
        options: all that decides what is made, beside what is read: plain JSON values.
        reads: name -> fingerprint of the images, and of whatever else is read; the hash of the code under `CODE`.

    Raises:
        InputError: something else is there, or this set with a file that was changed or is gone.
    """
    with new_directory(directory) as folder:
        # Where it is finished, a newer tenfold or another device does not make it another one.
        asked = asked_for(command, options, reads)
        config = taken_up(directory, asked, (CODE, "device"), whole=True)
        if config:
            note(f"{directory} is there already, made by the same command: nothing to do")
        yield NewSet(directory, folder, command, options, reads, bool(config), config.get("result", {}))
