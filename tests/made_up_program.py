"""The program in a process of its own, for tests that kill it, starve it or take away what it may do."""

from __future__ import annotations

import ctypes
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-c", "from tenfold.cli import main; main()"]
SHORT_STUDIES = (
    "import sys; from tenfold.runs import plan; from tenfold.training.classifier import ClassifierConfig\n"
    "plan.classifier_for = lambda study: ClassifierConfig(steps={steps}, batch_size=16, width=8, looks=2)\n"
    "{before}\n"
    "if __name__ == '__main__': from tenfold.cli import main; main()"
)
PR_CAPBSET_DROP, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2


def started(*words: object, cwd: Path, program: list[str] = PROGRAM, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program, *map(str, words)], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )


def ended(*words: object, cwd: Path, **more: Any) -> tuple[int, str, str]:
    """(exit status, stdout, stderr)."""
    with started(*words, cwd=cwd, **more) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def short_studies(steps: int = 20, before: str = "") -> list[str]:
    """The program with classifiers that train for a moment, and something more that is done at first."""
    return [sys.executable, "-c", SHORT_STUDIES.format(steps=steps, before=before)]


def with_memory_left(megabytes: int) -> str:
    """What leaves a process only so much memory beside that of its libraries."""
    return (
        "import resource, torch._dynamo, tenfold.runs.trial, tenfold.methods.cgan\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {megabytes} * 2**20,) * 2)"
    )


def small_files() -> None:
    """Before a program starts: no file of more than 6,000 bytes, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))


def bound_by_permissions() -> None:
    """Before a program starts: root, too, may only read and write what its files' modes say."""
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # one who is not root has none to lose


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
