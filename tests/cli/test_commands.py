"""The commands with their verbs replaced: what reaches each verb, and what is printed."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.core.options import (
    AdaptOptions,
    DataOptions,
    ExportOptions,
    FitOptions,
    GrowOptions,
    MergeOptions,
    PredictOptions,
    PreviewOptions,
    ReproduceOptions,
    RestyleOptions,
    SampleOptions,
)
from tenfold.core.results import DryRun
from tenfold.core.study_options import RunOptions, StudyOptions
from tenfold.evaluation import ArmResult, Interval, Verdict, Wins
from tenfold.evaluation.serialise import verdict_json
from tenfold.verbs.predict import Prediction

VERBS = (
    "run",
    "prove",
    "check",
    "grow",
    "fit",
    "sample",
    "restyle",
    "preview",
    "predict",
    "export",
    "adapt",
    "merge",
    "reproduce",
    "doctor",
)
STUDY = {"out": None, "workers": None}
ALL_SHARDS = {"shard": None, "workers": None, "on": "processes"}
TYPED = (
    "--arms classical,classical+cgan --budget 1h30m --repeats 2 --seed 7 --out there --size 32 --device cpu "
    "--per-class 20 --images 300 --times 2.5 --test sealed --no-learning-curve --workers 3"
)
READ = {
    "arms": "classical,classical+cgan", "budget": 5400.0, "repeats": 2, "seed": 7, "size": 32, "per_class": 20,
    "images": 300, "times": 2.5, "test": "sealed", "learning_curve": False, "device": "cpu",
}  # fmt: skip
THERE, MADE = Path("there"), GrowOptions(method="cgan", only_new=True)
FITTING = FitOptions(budget=60.0)
DRAWN = "--class a --class bc --truncation 0.8 --keep-copies --seed 3"
DRAWING = SampleOptions(classes=("a", "bc"), truncation=0.8, keep_copies=True, seed=3)
ADAPTED = (
    "--to mine --test sealed --reframe no --steps 50 --confidence 0.5 --seed 3 --size 16 --per-class 9 --out there"
)
ADAPTING = AdaptOptions(test="sealed", reframe="no", steps=50, seed=3, size=16, per_class=9, confidence=0.5)
CALLS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("run digits", "run", ("digits", RunOptions()), STUDY),
    ("prove digits", "prove", ("digits", StudyOptions()), STUDY),
    (f"run cells {TYPED}", "run", ("cells", RunOptions(**READ)), {"out": "there", "workers": 3}),
    (f"prove cells {TYPED}", "prove", ("cells", StudyOptions(**READ)), {"out": "there", "workers": 3}),
    ("run cells --dry-run --budget 2m", "run_forecast", ("cells", RunOptions(budget=120.0)), {"workers": None}),
    ("prove cells --dry-run --repeats 2", "prove_forecast", ("cells", StudyOptions(repeats=2)), {"workers": None}),
    ("check pets --size 32", "check", ("pets", DataOptions(size=32)), {"out": None}),
    ("preview mixup cells --rows 2", "preview", ("mixup", "cells", None, PreviewOptions(rows=2)), {}),
    ("restyle cells there --times 2", "restyle", ("cells", THERE, RestyleOptions(times=2)), {}),
    ("restyle cells there --dry-run", "restyle_forecast", ("cells", RestyleOptions()), {}),
    ("reproduce mixup --quick", "reproduce", ("mixup", ReproduceOptions(quick=True)), STUDY),
    ("export m e --onnx", "export", (Path("m"), Path("e"), ExportOptions(onnx=True)), {}),
    (
        "predict m a --min-confidence .8 --next 5", "predict",
        (Path("m"), [Path("a")], PredictOptions(min_confidence=0.8, next=5)), {"out": None},
    ),
    ("predict m a.png b", "predict", (Path("m"), [Path("a.png"), Path("b")], PredictOptions()), {"out": None}),
    *(
        (f"grow cells {words} --with cgan --only-new", "grow", ("cells", THERE, MADE), ALL_SHARDS)
        for words in ("there", "--out there", "there --out there")
    ),
    (
        "grow cells there --with cgan --shards 9 --shard 2 --on ray",
        "grow",
        ("cells", THERE, GrowOptions(method="cgan", shards=9)),
        {"shard": 2, "workers": None, "on": "ray"},
    ),
    ("grow cells there --with cgan --dry-run", "grow_forecast", ("cells", GrowOptions(method="cgan")), {}),
    *(
        (f"fit dagan(steps=9) cells {words} --budget 1m", "fit", ("dagan(steps=9)", "cells", THERE, FITTING), {})
        for words in ("there", "--out there")
    ),
    ("fit cgan cells there --dry-run", "fit_forecast", ("cgan", "cells", FitOptions()), {}),
    *(
        (f"sample kept {words} {DRAWN}", "sample", (Path("kept"), data, THERE, DRAWING), ALL_SHARDS)
        for data, places in (("new", ("new there", "new --out there", "new there --out there")),
                             (None, ("there", "--out there", "there --out there")))
        for words in places
    ),
    ("sample kept there --dry-run", "sample_forecast", (Path("kept"), None, SampleOptions()), {}),
    ("adapt one two --to mine", "adapt", (["one", "two"], "mine", AdaptOptions()), STUDY),
    (f"adapt one {ADAPTED} --workers 1", "adapt", (["one"], "mine", ADAPTING), {"out": THERE, "workers": 1}),
    ("adapt one --to mine --dry-run", "adapt_forecast", (["one"], "mine", AdaptOptions()), {"workers": None}),
    ("adapt one two --seed 5", "merge", (["one", "two"], MergeOptions(seed=5)), STUDY),
]  # fmt: skip


@dataclass
class Study:
    directory: Path = Path("runs/cells")
    sentence: str = "Growing helped: mixup is 3.0 points better than classical alone."

    def to_json(self) -> dict[str, Any]:
        return verdict_json(a_verdict())


def a_verdict() -> Verdict:
    gain, none = Interval(0.03, 0.01, 0.05, 0.01), (None, None)
    arms = (
        ArmResult("classical", Interval(0.9, 0.88, 0.92, 0.01), None, None, none, None, 12.0),
        ArmResult("mixup", Interval(0.93, 0.91, 0.95, 0.01), gain, "helped", none, None, 100.0),
        ArmResult("cgan", None, None, None, none, None, 60.0, 1, "collapsed"),
    )
    return Verdict(
        "helped", "mixup", "classical", gain, 0.028, 0.01, 4, 5, 80, 80, arms, {"mixup": 20}, 0.004, 0.998, 0.96,
        Wins(15, 3, 2), warnings=("few images",),
    )  # fmt: skip


def refuse(*_: object, **__: object) -> Any:
    pytest.fail("called")


@pytest.fixture
def seen(verb: Any) -> dict[str, Any]:
    """Every verb only notes what it was given."""
    calls: dict[str, Any] = {}

    def note(name: str, *arguments: object, **keywords: object) -> Any:
        calls[name] = (arguments, keywords)
        answers = {"run": Study(), "prove": Study(), "check": SimpleNamespace(to_json=dict), "predict": []}
        return answers.get(name, DryRun(f"{name} done", {"class": "ümläut \udce9", "left": None}))

    for name in VERBS:
        verb(name, partial(note, name), partial(note, f"{name}_forecast"))
    return calls


@pytest.mark.parametrize(("line", "name", "arguments", "keywords"), CALLS, ids=[call[0][:30] for call in CALLS])
def test_what_is_typed_reaches_the_verb_and_its_answer_is_text_or_one_document(
    line: str, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], seen: dict[str, Any], tenfold: Any
) -> None:
    status, out, err = tenfold(*line.split())
    assert (status, err, seen) == (0, "", {name: (arguments, keywords)})
    document = json.loads(tenfold(*line.split(), "--json")[1])
    if name not in ("run", "prove", "check", "predict"):
        assert (out, document) == (
            f"{name} done\n",
            {"sentence": f"{name} done", "class": "ümläut \udce9", "left": None},
        )


def test_a_study_prints_sentence_arms_warnings_and_where_the_report_is(
    verb: Any, tenfold: Any, tmp_path: Path
) -> None:
    (tmp_path / "report.html").touch()
    verb("run", lambda *_, **__: Study(directory=tmp_path))
    status, out, err = tenfold("run", "digits")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "mixup helped: about 3 more of 100 images are right."
    assert lines[1] == "Growing helped: mixup is 3.0 points better than classical alone."
    assert [cell.strip() for cell in lines[4].split("  ") if cell] == [
        "mixup", "93.0 % (91.0 to 95.0)", "+3.0 points (+1.0 to +5.0)", "helped", "1 min 40 s",
    ]  # fmt: skip
    assert "baseline" in lines[5]
    assert "FAILED" in lines[6]
    assert lines[7].startswith("The chosen arm would beat classical in 82 % of fresh splits (won 15,")
    assert lines[9:] == ["warning: few images", f"report: {tmp_path / 'report.html'}"]
    assert json.loads(tenfold("run", "digits", "--json")[1]) == verdict_json(a_verdict())
    at_url = "run", "digits", "--out", "s3://bucket/digits"
    assert tenfold(*at_url)[1].splitlines()[-1] == "report: s3://bucket/digits/report.html"
    assert json.loads(tenfold(*at_url, "--json")[1])["directory"] == "s3://bucket/digits"


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
    verb("check", lambda *_, **__: SimpleNamespace(to_json=lambda: audit))
    status, out, _ = tenfold("check", "pets")
    assert status == 0
    for part in (
        "1,203 images, 2 classes, each 3 x 32 x 32", "cat     1,200\ndog         3\n", "0.jpg: zero bytes",
        "and 4 more (--json lists all)", "2 images: turned upright by EXIF", "dog is not evaluated",
        "warning: 400 : 1",
    ):  # fmt: skip
        assert part in out


AWKWARD_NAMES = [
    "=cmd|' /C calc'!A0.png", "+1.png", "-1.png", "@x.png", 'a,b"c\nd.png', "花.png", os.fsdecode(b"\xe9"),
]  # fmt: skip


def test_predictions_are_csv_that_no_spreadsheet_runs_or_json(verb: Any, tenfold: Any) -> None:
    values = [Prediction(name, "=1+1", 0.75, {"=1+1": 0.75, "b": 0.25}) for name in AWKWARD_NAMES]
    verb("predict", lambda *_, **__: values)
    heading, *rows = csv.reader(tenfold("predict", "model", "a.png")[1].splitlines(keepends=True))
    assert heading == ["file", "class", "confidence", "probability of =1+1", "probability of b"]
    assert [row[0].removeprefix("'") for row in rows] == AWKWARD_NAMES, "every name comes back"
    assert all(cell[0] not in "=+-@" for row in rows for cell in row)
    assert rows[0][1:] == ["'=1+1", "0.75000", "0.75000", "0.25000"]
    assert json.loads(tenfold("predict", "m", "a.png", "--json")[1])[1] == {
        "file": "+1.png", "label": "=1+1", "confidence": 0.75, "probabilities": {"=1+1": 0.75, "b": 0.25},
        "set_aside": None, "label_next": None,
    }  # fmt: skip
    verb("predict", lambda *_, **__: [])
    assert tenfold("predict", "m", "empty")[1] == "file,class,confidence\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        *((line, "rror: ") for line in (
            "fly", "run", "run x --wings", "run x --repeats 0", "run x --seed -1", "run x --times many",
            "run x --budget soon", "prove x --grow cgan", "grow x y", "predict m", "fit cgan",
            "fit cgan x y --budget soon", "sample", "sample x --times 0", "sample x y z w",
            "sample x y --truncation 0",
        )),
        ("grow cells --with cgan", "error: name one directory to write to: tenfold grow DATA OUT --with METHOD\n"),
        ("grow cells here --out there --with cgan", "error: name one directory to write to: tenfold grow DATA OUT"),
        ("adapt one two --test sealed", "need a target: tenfold adapt SOURCE... --to TARGET"),
        ("adapt one two --dry-run", "need a target: tenfold adapt SOURCE... --to TARGET"),
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2_before_anything_runs(line: str, complaint: str, verb: Any, tenfold: Any) -> None:
    for name in VERBS:
        verb(name, refuse, refuse)
    status, out, err = tenfold(*line.split())
    assert (status, out) == (2, "")
    assert complaint in err


def test_an_earlier_run_is_repeated_from_its_configuration(
    seen: dict[str, Any], tenfold: Any, tmp_path: Path
) -> None:
    options = {
        "data": "my cells", "arms": "raw,mixup", "budget": 90.0, "seed": 5, "size": None, "times": 2.5,
        "test": "sealed", "exchange": False,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"options": options, "version": "0.1.0"}))
    assert tenfold("run", "--config", "config.json")[0] == 0
    repeated = RunOptions(
        arms="raw,mixup", budget=90.0, seed=5, times=2.5, test="sealed", learning_curve=False
    )  # `exchange` is what it was called
    assert seen["run"][0] == ("my cells", repeated)
    assert tenfold("run", "other", "--seed", "6", "--config", "config.json")[0] == 0
    assert seen["run"][0] == ("other", replace(repeated, seed=6))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"options": {"sede": 1}}', "there is no option 'sede'. Did you mean 'seed'?"),
        ('{"options": {"seed": "x"}}', "Invalid value for '--seed'"),
        *((content, "is not the config.json of a run") for content in ('{"seed": 1}', "[]", "", None)),
    ],
)
def test_a_configuration_is_read_strictly(
    content: str | None, complaint: str, verb: Any, tenfold: Any, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    verb("run", refuse)
    status, _, err = tenfold("run", "digits", "--config", "config.json")
    assert status == 2
    assert complaint in err


def test_help_begins_with_the_command_that_does_it_all(tenfold: Any) -> None:
    commands = tenfold("--help")[1].partition("Commands:\n")[2]
    assert commands.split()[0] == "run"


@pytest.mark.parametrize("name", [name for name in VERBS if name != "merge"])
def test_help_says_what_a_command_does_and_gives_an_example(name: str, tenfold: Any) -> None:
    status, out, _ = tenfold(name, "--help")
    assert status == 0
    for words in (f"Example: tenfold {name} ", "--json"):
        assert words in out
    if name != "doctor":
        assert {"--out", "--seed"} <= set(re.findall(r"--\w+", out))
