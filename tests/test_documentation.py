"""The README names what there is, and nothing else."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tenfold.cli import app
from tenfold.methods import method_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = typer.main.get_command(app)
NAMES: dict[str, typer.core.TyperCommand] = COMMANDS.commands  # type: ignore[attr-defined]


def _script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("readme_commands", ROOT / ".ci" / "readme_commands.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SCRIPT = _script()
INLINE = re.findall(r"`(tenfold [a-z][^`\n]*)`", README)
TENFOLD_LINES = [line for line in SCRIPT.commands(README) if re.match(r"(\S+/)?tenfold ", line)]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_command_is_shown(name: str) -> None:
    assert any(shlex.split(line, comments=True)[1] == name for line in TENFOLD_LINES)


@pytest.mark.parametrize("name", method_names())
def test_every_method_is_described(name: str) -> None:
    assert f"| `{name}` |" in README


def test_no_method_is_described_that_is_not_there() -> None:
    section = README.partition("## Methods")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == method_names()


@pytest.mark.parametrize("line", TENFOLD_LINES + INLINE)
def test_every_command_line_shown_is_one_that_is_understood(line: str) -> None:
    # As a shell reads it: without the redirection, and a pattern as one word.
    name, *words = shlex.split(re.sub(r">.*", "", line))[1:]
    if name == "COMMAND":
        return
    if "--config" in words:
        # Reading the file is the program's business and its file does not exist here.
        del words[words.index("--config") : words.index("--config") + 2]
        words.append("DATA")
    context = NAMES[name].make_context(name, words, resilient_parsing=False)
    assert context.params


def test_every_option_mentioned_exists() -> None:
    known = {option for command in NAMES.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) <= known | {"--help"}


def test_every_known_exit_status_is_listed() -> None:
    assert re.findall(r"^\| (\d+) \|", README, re.MULTILINE) == ["0", "1", "2", "3", "130"]


def test_every_link_leads_to_a_file() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_readme_shows_what_the_makefile_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MAKEFLAGS": "w -- VENV=other", "MAKELEVEL": "1", "DATA": "cells"}.items():
        monkeypatch.setenv(name, value)
    assert SCRIPT.main() == 0, capsys.readouterr().err
    assert capsys.readouterr().out == "make test\n"


@pytest.mark.parametrize(
    ("shown", "instead", "complaint"),
    [
        ("make test ", "make tests ", "does not name `make test`"),
        ("-c constraints.txt -e '.[weights]'", "-e '.[weights]'", "without the constraints"),
        ("tenfold run digits", "tenfold run mnist", "which README does not show"),
        ("-e '.[dev]'", "-e .", "which README does not show"),
    ],
)
def test_a_readme_that_differs_from_the_makefile_is_caught(
    shown: str, instead: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert shown in README
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "README.md").write_text(README.replace(shown, instead), "utf-8")
    monkeypatch.setattr(SCRIPT, "ROOT", tmp_path)
    assert SCRIPT.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
