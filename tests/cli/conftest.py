"""The program with its verbs replaced."""

from __future__ import annotations

import json
import os
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_files import Checked
from PIL import Image

from tenfold.cli import main
from tenfold.core import exit_codes


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put functions in the place of a verb and of its forecast."""

    def put(name: str, function: Callable[..., Any], forecast: Callable[..., Any] | None = None) -> None:
        module = types.ModuleType(f"tenfold.verbs.{name}")
        setattr(module, name, function)
        setattr(module, f"{name}_forecast", forecast or (lambda *_, **__: pytest.fail("no dry run was asked for")))
        monkeypatch.setitem(sys.modules, f"tenfold.verbs.{name}", module)

    return put


@pytest.fixture
def tenfold(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> Any:
    """Call the program in an empty directory: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exit_codes, "_run_directory", None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tenfold", *arguments])
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGPIPE)}
        with pytest.raises(SystemExit) as end:
            main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        status = end.value.code or 0
        assert isinstance(status, int)
        out, err = (os.fsdecode(text) for text in capsysbinary.readouterr())
        return status, out, err

    return call


@pytest.fixture
def checked(tenfold: Any) -> Any:
    return lambda **files: Checked(tenfold, {name.replace("_", "."): content for name, content in files.items()})


@pytest.fixture
def as_read(tenfold: Any, checked: Any) -> Any:
    """What tenfold makes of each file: the pixels of its copy in a grown set."""

    def read(**files: bytes) -> tuple[Checked, dict[str, np.ndarray]]:
        found = checked(**files)
        assert tenfold("grow", "set", "out", "--with", "classical", "--times", "0.1")[0] == 0
        lines = [json.loads(line) for line in Path("out/metadata.jsonl").read_text().splitlines()]
        names = {Path(line["source"]).name: line["file_name"] for line in lines if line["origin"] == "real"}
        return found, {name: np.asarray(Image.open(Path("out", file))) for name, file in names.items()}

    return read
