"""A hash of the code that a function runs, so that its results are found again as long as that code stays.

What counts is the program, not its text: comments, docstrings and line breaks void no finished work, and neither does
a file that the function does not import.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tenfold

PACKAGE = "tenfold"
NOT_COUNTED = (
    "claims.engine", "claims.few_shot_tables", "claims.lesions_tables", "claims.tables", "core.configuration",
    "core.errors", "core.exit_codes", "core.files", "core.options", "core.progress", "core.results", "runs.code",
    "runs.directory", "runs.executors", "runs.remote", "runs.runner", "runs.store", "report", "verbs", "cli",
)  # fmt: skip
"""Modules and packages that tell, keep and hand on what was computed, and compute nothing."""


@functools.cache
def code_of(function: str, modules: tuple[str, ...] = ()) -> str:
    """12 hex digits over the module of a function (`module:name`), further modules, and all of tenfold that these
    import, directly or not, at the top or inside functions."""
    waiting, seen = [function.partition(":")[0], *modules], set[str]()
    while waiting:
        module = waiting.pop()
        if module not in seen and _counts(module):
            seen.add(module)
            waiting += _read(module)[1]
    digest = hashlib.sha256()
    for module in sorted(seen):
        digest.update(f"{module} {_read(module)[0]} ".encode())
    return digest.hexdigest()[:12]


def made_with() -> dict[str, Any]:
    """The versions and the machine that results come from, for config.json."""
    import torch

    return {
        "tenfold": tenfold.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


def _counts(module: str) -> bool:
    inside = module.removeprefix(f"{PACKAGE}.")
    return module not in (PACKAGE, f"{PACKAGE}.runs") and not any(
        inside == name or inside.startswith(f"{name}.") for name in NOT_COUNTED
    )


@functools.cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """A hash of the module's program, and what it imports from tenfold."""
    path = _file_of(module)
    if path is None:
        raise ModuleNotFoundError(f"no module named {module!r}", name=module)
    tree = ast.parse(path.read_bytes())
    imported = tuple(sorted(set(_imported(tree.body))))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _is_text(node: ast.AST) -> bool:
    """Whether it is a docstring, of whatever stands before it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(body: Sequence[ast.AST]) -> Iterator[str]:
    """Modules of tenfold that these statements import, except for type checkers."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if _is_ours(source):
                names = [f"{source}.{alias.name}" for alias in node.names]
                yield from (name if _file_of(name) else source for name in names)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield from _imported(list(ast.iter_child_nodes(node)))


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


@functools.cache
def _file_of(module: str) -> Path | None:
    """Where the module's source is; None where there is no such module. Nothing of tenfold is imported for it."""
    if not _is_ours(module):
        found = importlib.util.find_spec(module)
        return Path(found.origin) if found and found.origin else None
    place = Path(tenfold.__file__).parent.joinpath(*module.split(".")[1:])
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((path for path in candidates if path.exists()), None)
