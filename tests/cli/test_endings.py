"""How each ending of the program ends: its exit status, its one line, and what a bug leaves."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.core import exit_codes
from tenfold.core.errors import InputError, Interrupted, SystemFault, TenfoldError


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (InputError("no such\nfolder"), 2, "error: no such folder"),
        (SystemFault("disk full"), 3, "error: disk full"),
        (TenfoldError("every arm failed"), 2, "error: every arm failed"),
        (Interrupted("stopped; `tenfold run x` goes on"), 130, "stopped; `tenfold run x` goes on"),
        (KeyboardInterrupt(), 130, "stopped; the same command continues where it was"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), 3, "error: a/b: No space left on device"),
        (OSError(errno.EROFS, "Read-only file system"), 3, "error: Read-only file system"),
        (MemoryError(), 3, "error: out of memory; try a smaller --size or fewer --workers"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_ending_has_its_status_and_one_line(
    raised: BaseException, status: int, line: str, verb: Any, tenfold: Any, tmp_path: Path
) -> None:
    verb("run", raising(raised))
    assert tenfold("run", "x", "--json") == (status, "", line + "\n")
    assert not list(tmp_path.iterdir()), "no crash file: none of these is a bug"


def test_a_bug_keeps_its_traceback(verb: Any, tenfold: Any, tmp_path: Path) -> None:
    verb("run", raising(ZeroDivisionError("by zero")))
    kept = tmp_path / "tenfold-crash.txt"
    line = f"error: a bug in tenfold (ZeroDivisionError: by zero); please report it with {kept}\n"
    assert tenfold("run", "x") == (1, "", line)
    assert kept.read_text().endswith("ZeroDivisionError: by zero\n")
    assert Path(__file__).name in kept.read_text()
    assert "tenfold-crash-2.txt" in tenfold("run", "x")[2], "the first one is not overwritten"


def test_a_bug_in_a_run_keeps_its_traceback_there(verb: Any, tenfold: Any, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "cells"
    run.mkdir(parents=True)
    exit_codes.keep_in(run)
    verb("prove", raising(BrokenPipeError(errno.EPIPE, "a worker died")))
    assert tenfold("prove", "x")[0] == 1, "only a reader of stdout may leave unnoticed"
    assert (run / "tenfold-crash.txt").exists()


def test_a_bug_where_nothing_can_be_written_is_still_reported(
    verb: Any, tenfold: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setattr(exit_codes.tempfile, "gettempdir", lambda: str(elsewhere))
    write = exit_codes.files.write_text

    def refuse(path: Path, content: str) -> None:
        if path.parent != elsewhere:
            raise SystemFault("read-only")
        write(path, content)

    monkeypatch.setattr(exit_codes.files, "write_text", refuse)
    verb("run", raising(ValueError("x")))
    assert str(elsewhere / "tenfold-crash.txt") in tenfold("run", "x")[2]


def _program(verb_body: str) -> list[str]:
    """The program in a process of its own, with a `check` that does as told."""
    lines = (
        "import sys, types",
        "module = types.ModuleType('tenfold.verbs.check')",
        f"def check(*_, **__):\n    {verb_body}",
        "module.check = check",
        "sys.modules['tenfold.verbs.check'] = module",
        "from tenfold.cli import main",
        "sys.argv = ['tenfold', 'check', 'x', '--json']",
        "main()",
    )
    return [sys.executable, "-c", "\n".join(lines)]


def test_control_c_in_a_real_process_is_status_130() -> None:
    program = _program("import time; print('up', file=sys.stderr, flush=True); time.sleep(30)")
    with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "stopped; the same command continues where it was\n"
        assert process.wait(10) == 130


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    body = "return types.SimpleNamespace(to_json=lambda: {'actions': ['x' * 99] * 20_000})"
    command = ["bash", "-c", '"$@" | head -n 1; echo "${PIPESTATUS[0]}"', "bash", *_program(body)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("{\n0\n", "")
