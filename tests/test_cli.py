"""The command line with its verbs replaced: what reaches them, what is printed, and how each ending ends."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.cli import main
from tenfold.core import exit_codes
from tenfold.core.errors import InputError, Interrupted, SystemFault, TenfoldError
from tenfold.core.options import (
    DataOptions,
    FitOptions,
    GrowOptions,
    PredictOptions,
    RunOptions,
    SampleOptions,
    StudyOptions,
)
from tenfold.evaluation import ArmResult, Interval, Verdict, Wins
from tenfold.evaluation.serialise import verdict_json

Recorder = Callable[..., Any]


@dataclass
class Result:
    """What every verb returns something like."""

    directory: Path = Path("runs/cells")
    sentence: str = "Growing helped: mixup is 3.0 points better than classical alone."
    document: dict[str, Any] = field(default_factory=lambda: verdict_json(a_verdict()))

    @property
    def text(self) -> str:
        return self.sentence

    def to_json(self) -> dict[str, Any]:
        return self.document


@dataclass
class Prediction:
    file: str
    label: str
    confidence: float
    probabilities: dict[str, float]


def a_verdict() -> Verdict:
    gain = Interval(0.03, 0.01, 0.05, 0.01)
    none = (None, None)
    arms = (
        ArmResult("classical", Interval(0.9, 0.88, 0.92, 0.01), None, None, none, None, 12.0),
        ArmResult("mixup", Interval(0.93, 0.91, 0.95, 0.01), gain, "helped", none, None, 100.0),
        ArmResult("cgan", None, None, None, none, None, 60.0, 1, "collapsed"),
    )
    counts = {"mixup": 20}
    return Verdict(
        "helped",
        "mixup",
        "classical",
        gain,
        0.028,
        0.01,
        4,
        5,
        80,
        80,
        arms,
        counts,
        0.004,
        0.998,
        0.96,
        Wins(15, 3, 2),
        warnings=("few images",),
    )


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Recorder], None]:
    def put(name: str, function: Recorder) -> None:
        module = types.ModuleType(f"tenfold.verbs.{name}")
        setattr(module, name, function)
        setattr(module, f"{name}_forecast", lambda *_, **__: pytest.fail("a dry run was not asked for"))
        monkeypatch.setitem(sys.modules, f"tenfold.verbs.{name}", module)

    return put


@pytest.fixture
def tenfold(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> Any:
    """Call the program in an empty directory: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exit_codes, "_run_directory", None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tenfold", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        status = end.value.code or 0
        assert isinstance(status, int)
        out, err = (os.fsdecode(text) for text in capsysbinary.readouterr())
        return status, out, err

    return call


def recording(answer: Any) -> tuple[dict[str, Any], Recorder]:
    seen: dict[str, Any] = {}

    def function(*arguments: object, **options: object) -> Any:
        seen.update(arguments=arguments, **options)
        return answer

    return seen, function


@pytest.mark.parametrize(("name", "kind"), [("run", RunOptions), ("prove", StudyOptions)])
def test_a_study_gets_its_options_and_documented_defaults(name: str, kind: Any, verb: Any, tenfold: Any) -> None:
    seen, function = recording(Result())
    verb(name, function)
    assert tenfold(name, "digits")[0] == 0
    assert seen == {"arguments": ("digits", kind()), "out": None, "workers": None}
    some = "--arms classical,classical+cgan --budget 1h30m --repeats 2 --seed 7 --out there --size 32 --device cpu"
    more = "--per-class 20 --images 300 --times 2.5 --test sealed --no-learning-curve --workers 3"
    assert tenfold(name, "my cells", *some.split(), *more.split())[0] == 0
    options = kind(
        arms="classical,classical+cgan", budget=5400.0, repeats=2, seed=7, size=32, per_class=20, images=300,
        times=2.5, test="sealed", learning_curve=False, device="cpu",
    )  # fmt: skip
    assert seen == {"arguments": ("my cells", options), "out": Path("there"), "workers": 3}


def test_a_dry_run_only_tells_what_would_be_done(verb: Any, tenfold: Any) -> None:
    verb("prove", lambda *_, **__: pytest.fail("trained"))
    seen, function = recording(types.SimpleNamespace(text="about 2 min", to_json=lambda: {"seconds": 120}))
    sys.modules["tenfold.verbs.prove"].prove_forecast = function
    assert tenfold("prove", "cells", "--dry-run", "--repeats", "2")[:2] == (0, "about 2 min\n")
    assert seen == {"arguments": ("cells", StudyOptions(repeats=2)), "workers": None}
    assert json.loads(tenfold("prove", "cells", "--dry-run", "--json")[1]) == {"seconds": 120}


def test_a_study_prints_sentence_arms_warnings_and_where_the_report_is(
    verb: Any, tenfold: Any, tmp_path: Path
) -> None:
    (tmp_path / "report.html").touch()
    verb("run", lambda *_, **__: Result(directory=tmp_path))
    status, out, err = tenfold("run", "digits")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "mixup helped: about 3 more of 100 images are right."
    assert lines[1] == "Growing helped: mixup is 3.0 points better than classical alone."
    cells = [cell for cell in lines[4].split("  ") if cell]
    assert [cell.strip() for cell in cells] == [
        "mixup", "93.0 % (91.0 to 95.0)", "+3.0 points (+1.0 to +5.0)", "helped", "1 min 40 s",
    ]  # fmt: skip
    assert "baseline" in lines[5]
    assert "FAILED" in lines[6]
    assert lines[7].startswith("The chosen arm would beat classical in 82 % of fresh splits (won 15,")
    assert lines[9:] == ["warning: few images", f"report: {tmp_path / 'report.html'}"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", ()),
        ("prove", ()),
        ("check", ()),
        ("grow", ("out", "--with", "cgan")),
        ("fit", ("x", "out")),
        ("sample", ("out",)),
    ],
)
def test_json_is_exactly_one_document(name: str, words: tuple[str, ...], verb: Any, tenfold: Any) -> None:
    document = verdict_json(a_verdict()) | {"class": "ümläut \udce9", "left": None}
    verb(name, lambda *_, **__: Result(document=document))
    status, out, err = tenfold(name, "digits", *words, "--json")
    assert (status, json.loads(out), err) == (0, document, "")


def test_check_prints_counts_and_what_will_be_done(verb: Any, tenfold: Any) -> None:
    audit = {
        "images": 1203,
        "image_shape": [3, 32, 32],
        "counts": {"cat": 1200, "dog": 3},
        "roles": {"train": 1203},
        "set_aside": [{"source": f"{i}.jpg", "reason": "zero bytes"} for i in range(14)],
        "conversions": {"turned upright by EXIF": 2},
        "actions": ["dog is not evaluated", "2 images: turned upright by EXIF"],
        "warnings": ["400 : 1"],
    }
    seen, function = recording(Result(document=audit))
    verb("check", function)
    status, out, _ = tenfold("check", "pets", "--size", "32")
    assert status == 0
    assert seen == {"arguments": ("pets", DataOptions(size=32)), "out": None}
    assert "1,203 images, 2 classes, each 3 x 32 x 32" in out
    assert "cat     1,200\ndog         3\n" in out
    assert "0.jpg: zero bytes" in out
    assert "and 4 more (--json lists all)" in out
    for part in ("2 images: turned upright by EXIF", "dog is not evaluated", "warning: 400 : 1"):
        assert part in out


@pytest.mark.parametrize("words", [("grown",), ("--out", "grown"), ("grown", "--out", "grown")])
def test_grow_takes_its_directory_either_way(words: tuple[str, ...], verb: Any, tenfold: Any) -> None:
    seen, function = recording(Result(sentence="640 images in grown"))
    verb("grow", function)
    assert tenfold("grow", "cells", *words, "--with", "cgan", "--only-new")[:2] == (
        0,
        "640 images in grown\n",
    )
    assert seen == {"arguments": ("cells", Path("grown"), GrowOptions(method="cgan", only_new=True))}


@pytest.mark.parametrize("words", [(), ("here", "--out", "there")])
def test_grow_needs_one_directory(words: tuple[str, ...], verb: Any, tenfold: Any) -> None:
    verb("grow", lambda *_, **__: pytest.fail("called"))
    status, out, err = tenfold("grow", "cells", *words, "--with", "cgan")
    assert (status, out) == (2, "")
    assert err == "error: name one directory to write to: tenfold grow DATA OUT --with METHOD\n"


@pytest.mark.parametrize("words", [("there",), ("--out", "there")])
def test_fit_gets_its_options(words: tuple[str, ...], verb: Any, tenfold: Any) -> None:
    seen, function = recording(Result(sentence="kept in there"))
    verb("fit", function)
    assert tenfold("fit", "dagan(steps=9)", "cells", *words, "--budget", "1m")[:2] == (0, "kept in there\n")
    assert seen == {"arguments": ("dagan(steps=9)", "cells", Path("there"), FitOptions(budget=60.0))}


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (("new", "there"), "new"), (("new", "--out", "there"), "new"), (("new", "there", "--out", "there"), "new"),
        (("there",), None), (("--out", "there"), None), (("there", "--out", "there"), None),
    ],
)  # fmt: skip
def test_sample_takes_its_images_or_none(words: tuple[str, ...], data: str | None, verb: Any, tenfold: Any) -> None:
    seen, function = recording(Result(sentence="drawn"))
    verb("sample", function)
    options = ("--class", "a", "--class", "b c", "--truncation", "0.8", "--keep-copies", "--seed", "3")
    assert tenfold("sample", "kept", *words, *options)[:2] == (0, "drawn\n")
    wanted = SampleOptions(classes=("a", "b c"), truncation=0.8, keep_copies=True, seed=3)
    assert seen == {"arguments": (Path("kept"), data, Path("there"), wanted)}


@pytest.mark.parametrize(
    ("line", "forecast"),
    [
        ("grow cells out --with cgan", "grow_forecast"), ("fit cgan cells out", "fit_forecast"),
        ("sample kept out", "sample_forecast"),
    ],
)  # fmt: skip
def test_a_dry_run_only_tells_what_would_be_made(line: str, forecast: str, tenfold: Any, verb: Any) -> None:
    name = line.split()[0]
    verb(name, lambda *_, **__: pytest.fail("made"))
    result = types.SimpleNamespace(text="about 2 min", to_json=lambda: {"seconds": 120})
    setattr(sys.modules[f"tenfold.verbs.{name}"], forecast, lambda *_, **__: result)
    assert tenfold(*line.split(), "--dry-run")[:2] == (0, "about 2 min\n")
    assert json.loads(tenfold(*line.split(), "--dry-run", "--json")[1]) == {"seconds": 120}


AWKWARD_NAMES = [
    "=cmd|' /C calc'!A0.png",
    "+1.png",
    "-1.png",
    "@x.png",
    'a,b"c\nd.png',
    "花.png",
    os.fsdecode(b"\xe9"),
]


def test_predictions_are_csv_that_no_spreadsheet_runs(verb: Any, tenfold: Any) -> None:
    values = [Prediction(name, "=1+1", 0.75, {"=1+1": 0.75, "b": 0.25}) for name in AWKWARD_NAMES]
    seen, function = recording(values)
    verb("predict", function)
    status, out, _ = tenfold("predict", "model", "a.png", "b", "--out", "there", "--seed", "1")
    assert status == 0
    files = [Path("a.png"), Path("b")]
    assert seen == {"arguments": (Path("model"), files, PredictOptions(seed=1)), "out": Path("there")}
    heading, *rows = csv.reader(out.splitlines(keepends=True))
    assert heading == ["file", "class", "confidence", "probability of =1+1", "probability of b"]
    assert [row[0].removeprefix("'") for row in rows] == AWKWARD_NAMES, "every name comes back"
    assert all(cell[0] not in "=+-@" for row in rows for cell in row)
    assert rows[0][1:] == ["'=1+1", "0.75000", "0.75000", "0.25000"]


def test_predictions_are_json_too_and_may_be_none(verb: Any, tenfold: Any) -> None:
    verb("predict", lambda *_, **__: [Prediction("a.png", "b", 1.0, {"b": 1.0})])
    document = [{"file": "a.png", "label": "b", "confidence": 1.0, "probabilities": {"b": 1.0}}]
    assert json.loads(tenfold("predict", "m", "a.png", "--json")[1]) == document
    verb("predict", lambda *_, **__: [])
    assert tenfold("predict", "m", "empty")[1] == "file,class,confidence\n"


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (InputError("no such\nfolder"), 2, "error: no such folder"),
        (SystemFault("disk full"), 3, "error: disk full"),
        (TenfoldError("every arm failed"), 1, "error: every arm failed"),
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


def raising(error: BaseException) -> Recorder:
    def function(*_: object, **__: object) -> Any:
        raise error

    return function


def test_a_bug_keeps_its_traceback(verb: Any, tenfold: Any, tmp_path: Path) -> None:
    verb("run", raising(ZeroDivisionError("by zero")))
    status, out, err = tenfold("run", "x")
    kept = tmp_path / "tenfold-crash.txt"
    assert (status, out) == (1, "")
    assert err == f"error: a bug in tenfold (ZeroDivisionError: by zero); please report it with {kept}\n"
    assert "in raising" not in kept.read_text()
    assert kept.read_text().endswith("ZeroDivisionError: by zero\n")
    assert "test_cli.py" in kept.read_text()
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


@pytest.mark.parametrize(
    "line",
    [
        "fly", "run", "run x --wings", "run x --repeats 0", "run x --seed -1", "run x --times many",
        "run x --budget soon", "prove x --grow cgan", "grow x y", "predict m", "fit cgan",
        "fit cgan x y --budget soon", "sample", "sample x --times 0", "sample x y z w", "sample x y --truncation 0",
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2_before_anything_runs(line: str, verb: Any, tenfold: Any) -> None:
    for name in ("run", "prove", "grow", "predict", "fit", "sample"):
        verb(name, lambda *_, **__: pytest.fail("called"))
    status, out, err = tenfold(*line.split())
    assert (status, out) == (2, "")
    assert "rror: " in err


def test_an_earlier_run_is_repeated_from_its_configuration(verb: Any, tenfold: Any, tmp_path: Path) -> None:
    options = {
        "data": "my cells", "arms": "raw,mixup", "budget": 90.0, "seed": 5, "size": None, "times": 2.5,
        "test": "sealed", "exchange": False,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"options": options, "version": "0.1.0"}))
    seen, function = recording(Result())
    verb("run", function)
    assert tenfold("run", "--config", "config.json")[0] == 0
    repeated = RunOptions(
        arms="raw,mixup", budget=90.0, seed=5, times=2.5, test="sealed", learning_curve=False
    )  # `exchange` is what it was called
    assert seen["arguments"] == ("my cells", repeated)
    assert tenfold("run", "other", "--seed", "6", "--config", "config.json")[0] == 0
    assert seen["arguments"] == ("other", replace(repeated, seed=6))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"options": {"sede": 1}}', "there is no option 'sede'. Did you mean 'seed'?"),
        ('{"options": {"seed": "x"}}', "Invalid value for '--seed'"),
        ('{"seed": 1}', "is not the config.json of a run"),
        ("[]", "is not the config.json of a run"),
        ("", "is not the config.json of a run"),
        (None, "is not the config.json of a run"),
    ],
)
def test_a_configuration_is_read_strictly(
    content: str | None, complaint: str, verb: Any, tenfold: Any, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    verb("run", lambda *_, **__: pytest.fail("called"))
    status, _, err = tenfold("run", "digits", "--config", "config.json")
    assert status == 2
    assert complaint in err


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
    ran = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1; echo "${PIPESTATUS[0]}"', "bash", *_program(body)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("{\n0\n", "")


def test_help_begins_with_the_command_that_does_it_all(tenfold: Any) -> None:
    commands = tenfold("--help")[1].partition("Commands:\n")[2]
    assert commands.split()[0] == "run"


@pytest.mark.parametrize(
    "name", ["run", "check", "prove", "grow", "fit", "sample", "predict", "preview", "reproduce", "adapt"]
)
def test_help_says_what_a_command_does_and_gives_an_example(name: str, tenfold: Any) -> None:
    status, out, _ = tenfold(name, "--help")
    assert status == 0
    assert f"Example: tenfold {name} " in out
    for option in ("--out", "--seed", "--json"):
        assert option in out
