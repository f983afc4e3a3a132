"""Check that what the README tells a newcomer to type is what the Makefile does, and print its test command.

The continuous integration runs the command printed here, so the README's command is the one that was tried.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN, TEST = "make run", "make test"


def commands(text: str) -> list[str]:
    """The lines of the fenced shell blocks, without comments."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = (re.sub(r"\s+#.*|^#.*", "", line).strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def plain_lines(command: str) -> list[list[str]]:
    """The words of every line that make would run on a fresh machine, but for its bookkeeping."""
    # Without the caller's variables: inside `make test VENV=...` the answer would be another one.
    shown = subprocess.run(
        [*command.split(), "--dry-run", "--always-make"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [shlex.split(line) for line in shown.stdout.splitlines()]
    return [line for line in lines if line and line[0] != "touch"]


def main() -> int:
    readme = commands((ROOT / "README.md").read_text("utf-8"))
    written = [shlex.split(line) for line in readme]
    faults = [f"README does not name `{command}`" for command in (RUN, TEST) if command not in readme]
    for command in (RUN, TEST):
        faults += [
            f"`{command}` runs `{shlex.join(line)}`, which README does not show as a plain line"
            for line in plain_lines(command)
            if line not in written
        ]
    faults += [
        f"README installs without the constraints: `{line}`"
        for line in readme
        if "pip install" in line and "-c constraints.txt" not in line
    ]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if not faults:
        print(TEST)
    return len(faults) > 0


if __name__ == "__main__":
    sys.exit(main())
