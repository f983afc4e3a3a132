"""What `grow` and `restyle` share: trainings that a command which was killed goes on with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenfold.core.output import UNFINISHED
from tenfold.core.types import ImageDataset
from tenfold.methods import MethodFailed
from tenfold.runs.code import code_of
from tenfold.runs.directory import CODE, RunDirectory
from tenfold.training.checkpoint import checkpoints_in


@contextmanager
def resumed(
    directory: Path, command: str, options: Mapping[str, Any], real: ImageDataset, module: str
) -> Iterator[Path]:
    """Trainings inside keep their checkpoints in the hidden folder of a `new_directory`; gives that folder.

    Args:
        options: all that decides what they give, beside the images and the code.
        module: whose code that is.

    Raises:
        InputError: there is another command's work, or that of other options.
        MethodFailed: from inside; then nothing is kept: it would fail again, and other options are to be free to try.
    """
    kept = directory / UNFINISHED / "run"
    try:
        reads = {real.name: real.fingerprint(), CODE: code_of(module)}
        with RunDirectory.opened(kept, command, options, reads), checkpoints_in(kept):
            yield kept
    except MethodFailed:
        shutil.rmtree(kept, ignore_errors=True)
        raise
