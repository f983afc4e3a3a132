from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from made_up_sets import SHORT, easy_set
from tenfold.core import exit_codes
from tenfold.core.errors import InputError, Interrupted, SystemFault
from tenfold.core.files import json_bytes, read_json
from tenfold.core.manifest import MANIFEST
from tenfold.runs import remote, store, trial
from tenfold.runs.directory import DATA, LAST_FILE
from tenfold.runs.study import Study
from tenfold.verbs.prove import prove
from tenfold.verbs.run import run

VERDICT = "verdict.json"
SMALL: dict[str, Any] = {"arms": "raw", "repeats": 1, "learning_curve": False, "workers": 1}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(exit_codes, "_run_directory", None)
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield f"file://{(tmp_path / 'far').as_posix()}/run" if request.param == "file" else "memory://far/run"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry a trial that was begun; the one after the third is stopped by Ctrl-C, once."""
    run_trial, calls = trial.run_trial, list[int]()

    def counted(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return run_trial(*given)

    monkeypatch.setattr(trial, "run_trial", counted)
    return calls


def study(out: str | Path, each: int = 6, **changes: Any) -> Study:
    return prove(easy_set([each, each]), out=out, **SMALL | changes)


def told(verdict: bytes) -> Any:
    """verdict.json, but for how long it took."""
    document = json.loads(verdict)
    for arm in document["arms"].values():
        del arm["seconds"]
    return document


def told_at(place: str | Path) -> Any:
    return told(store.Store(place).read(VERDICT) if isinstance(place, str) else (place / VERDICT).read_bytes())


def names(url: str) -> set[str]:
    return store.Store(url).names()


def cached(tmp_path: Path) -> Path:
    (home,) = (tmp_path / "cache" / "runs").iterdir()
    return home


def another_machine(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache")


def test_a_study_at_a_url_is_the_one_of_a_directory(url: str, tmp_path: Path) -> None:
    study(tmp_path / "near")
    study(url)
    near = tmp_path / "near"
    assert told_at(url) == told_at(near)
    here = {path.relative_to(near).as_posix() for path in near.rglob("*") if path.is_file()}
    assert names(url) == here >= {LAST_FILE, MANIFEST, "config.json"}


def test_a_run_names_the_url_and_not_its_copy(url: str, tmp_path: Path) -> None:
    done = run(easy_set([6, 6]), out=url, grow="classical", **SMALL)
    assert f"in {url}/grown" in done.growth
    told = [store.Store(url).read(name) for name in (LAST_FILE, VERDICT, "grown/metadata.jsonl")]
    assert not any(str(tmp_path / "cache").encode() in text for text in told)


def test_a_finished_study_is_found_from_another_machine_and_again_on_the_first(
    url: str, tmp_path: Path, begun: list[int]
) -> None:
    begun += [1] * 4
    study(url)
    before, count = told_at(url), len(begun)
    study(url)
    another_machine(tmp_path)
    study(url)
    assert len(begun) == count
    assert told_at(url) == before


@pytest.mark.parametrize("killed", [False, True])
def test_another_machine_goes_on_where_a_study_stopped(
    killed: bool, url: str, tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        if killed:  # nothing is done at the end
            patch.setattr(remote._Copy, "upload_all", lambda copy: None)
        with pytest.raises(Interrupted, match=rf"--out {url}$"):
            study(url)
    finished = {name for name in names(url) if name.endswith("/result.json")}
    assert len(finished) == 3
    assert not any(name.startswith(f"{DATA}/") for name in names(url))
    another_machine(tmp_path)
    done = study(url)
    assert len(begun) == 4 + len(done.trials) - 3
    study(tmp_path / "near")
    assert told_at(url) == told_at(tmp_path / "near")


def test_a_job_that_is_half_there_is_done_again(url: str, tmp_path: Path, begun: list[int]) -> None:
    with pytest.raises(Interrupted):
        study(url)
    results = sorted(name for name in names(url) if name.endswith("/result.json"))
    far = store.Store(url)
    far.remove(results[0])
    far.put(results[1], far.read(results[1])[:50])
    another_machine(tmp_path)
    done = study(url)
    assert len(begun) == 4 + len(done.trials) - 1


def test_another_study_at_the_url_is_refused_and_stays(url: str, tmp_path: Path) -> None:
    study(url)
    before = store.Store(url).read("config.json")
    another_machine(tmp_path)
    with pytest.raises(InputError, match=rf"^{url} holds a run with other options \(repeats\); choose another --out"):
        study(url, repeats=2)
    with pytest.raises(InputError, match=rf"^the images of made-up easy are not those that the run in {url} began"):
        study(url, each=7)
    assert store.Store(url).read("config.json") == before


def test_what_is_no_run_is_refused_and_stays(url: str) -> None:
    store.Store(url).put("letter.txt", b"dear")
    with pytest.raises(InputError, match=rf"^{url} is not empty and nothing is overwritten"):
        study(url)
    assert names(url) == {"letter.txt"}


def test_what_was_removed_at_the_url_is_begun_anew(url: str) -> None:
    study(url)
    for name in names(url):
        store.Store(url).remove(name)
    assert study(url, repeats=2).plan.repeats == 2


def test_a_command_keeps_other_machines_away_until_it_is_dead(url: str) -> None:
    far = store.Store(url)
    sign = {"host": "other", "owner": "/elsewhere", "process": 7, "time": time.time()}
    far.put(store.IN_USE, json_bytes(sign))
    with pytest.raises(InputError, match=f"^{url} is in use by process 7 of other; wait for it"), far.held("here"):
        pass
    far.put(store.IN_USE, json_bytes(sign | {"time": time.time() - store.FRESH - 1}))
    with far.held("here"), pytest.raises(InputError, match="in use"), far.held("there"):
        pass
    with pytest.raises(SystemFault, match="FileNotFoundError"):
        far.read(store.IN_USE)


def test_a_store_that_refuses_uploads_costs_no_work(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], begun: list[int]
) -> None:
    begun += [1] * 4
    with monkeypatch.context() as patch:
        patch.setattr(remote._Copy, "_put", lambda copy, name: (_ for _ in ()).throw(SystemFault("the line is dead")))
        with pytest.raises(SystemFault, match="the line is dead"):
            study(url)
    assert "the line is dead; it is tried again at the end" in capsys.readouterr().err
    count = len(begun)
    study(url)
    assert len(begun) == count
    assert LAST_FILE in names(url)
    assert read_json(cached(tmp_path) / "run" / "verdict.json")


@pytest.mark.parametrize(
    ("module", "url", "words"),
    [
        ("fsspec", "memory://far", r"pip install 'tenfold\[remote\]'"),
        ("s3fs", "s3://far/run", "pip install s3fs$"),
        ("paramiko", "sftp://far/run", "pip install paramiko$"),
        ("none", "thing://far", "cannot be used: Protocol not known: thing"),
    ],
)
def test_what_is_missing_is_told(module: str, url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        study(url)
