"""Vectors from check to predict."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from made_up_sets import easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.types import ImageDataset
from tenfold.data.splits import plan_folds
from tenfold.evaluation.leaks import leak
from tenfold.report.text import check_text
from tenfold.training.classifier_io import load_classifier
from tenfold.verbs.check import check
from tenfold.verbs.grow import grow
from tenfold.verbs.predict import predict
from tenfold.verbs.prove import prove, prove_forecast
from tenfold.verbs.run import run

pytestmark = pytest.mark.usefixtures("short_trainings")


@pytest.fixture(autouse=True)
def two_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.preparation.plan_folds", lambda data, **_: plan_folds(data, 2))


def write_table(path: Path, data: ImageDataset, columns: str = "abcdef", *, labelled: bool = True) -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", *(["label"] if labelled else []), *columns])
    order = ["abcdef".index(column) for column in columns]
    for row, label, source in zip(data.images[:, order, 0, 0], data.labels, data.sources, strict=True):
        writer.writerow([source, *([data.class_names[label]] if labelled else []), *map(repr, row.tolist())])
    path.write_text(text.getvalue())
    return path


def write_npz(path: Path, data: ImageDataset) -> Path:
    np.savez(path, features=data.images[:, :, 0, 0], labels=np.array(data.class_names)[data.labels])
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "cells.csv", easy_vectors([12, 12, 12]))


def test_check_counts_rows(tmp_path: Path) -> None:
    audit = check(write_npz(tmp_path / "cells.npz", easy_vectors([5, 3])), out=tmp_path / "out")
    assert check_text(audit.to_json()).splitlines()[0] == "8 rows, 2 classes, each of 6 numbers"
    assert read_json(tmp_path / "out/check.json")["is_vectors"]


def test_prove_ends_with_a_verdict_against_raw(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "cells.npz", easy_vectors([14, 14, 14], noise=3))
    study = prove(path, per_class=12, repeats=2, workers=1, out=tmp_path / "run")
    document = read_json(tmp_path / "run/verdict.json")
    assert document["baseline"] == "raw"
    assert set(document["arms"]) == {"raw", "placebo", "mixup", "oracle"}
    assert "raw" in study.sentence
    assert "classical" not in study.sentence
    assert {trial.failed for trial in study.trials} == {None}
    assert set(document["pick_counts"]) <= {"raw", "mixup"}
    assert sum(document["pick_counts"].values()) == 4
    page = (tmp_path / "run/report.html").read_text()
    assert "classical" not in page.lower()
    assert "36 rows studied" in page
    assert "each of 6 numbers" in page
    assert "pixels" not in page
    assert "<img" not in page
    assert read_json(tmp_path / "run/config.json")["options"]["arms"] == "raw,placebo,mixup,oracle"


def test_run_then_predict(table: Path, tmp_path: Path) -> None:
    result = run(table, arms="raw,mixup", repeats=2, learning_curve=False, workers=1, out=tmp_path / "run")
    assert result.grown is None
    assert "--grow" not in result.growth
    assert not (tmp_path / "run/grown").exists()
    more = easy_vectors([9, 9, 9], key="more")
    trained = load_classifier(tmp_path / "run")
    rows = trained.probabilities(more.images)
    npz, csv_file = write_npz(tmp_path / "more.npz", more), write_table(tmp_path / "more.csv", more)
    turned = write_table(tmp_path / "turned.tsv", more, "fedcba", labelled=False)
    for path, name in ((npz, "more[0]"), (csv_file, "row-0"), (turned, "row-0")):
        predictions = predict(tmp_path / "run/classifier.safetensors", path)
        assert predictions[0].file == name
        assert [list(one.probabilities.values()) for one in predictions] == [
            [round(float(share), 5) for share in row] for row in rows
        ]
    right = [one.label == more.class_names[label] for one, label in zip(predictions, more.labels, strict=True)]
    assert np.mean(right) > 2 / 3, "twice what guessing gets: names and classes belong together"
    assert len(predict(tmp_path / "run", [npz, csv_file], out=tmp_path / "out")) == 54
    assert len((tmp_path / "out/predictions.csv").read_text().splitlines()) == 55
    single = tmp_path / "single.csv"
    single.write_text("a,b,c,d,e,f\n1,2,3,4,5,6\n")
    assert len(predict(tmp_path / "run", single)) == 1


def test_what_does_not_fit_the_classifier_is_refused(table: Path, tmp_path: Path) -> None:
    run(table, arms="raw,mixup", repeats=1, learning_curve=False, workers=1, out=tmp_path / "run")
    np.savez(tmp_path / "five.npz", features=np.eye(5))
    np.savez(tmp_path / "pictures.npz", images=np.zeros((2, 8, 8)))
    for name, text, complaint in (
        ("few.csv", "a,b,c,d,e\n1,2,3,4,5\n", r"few.csv has 5 features where 6 .*no column 'f'"),
        ("other.csv", "a,b,c,d,e,g\n1,2,3,4,5,6\n", r"other.csv has 5 features where 6 .*no column 'f'"),
        ("bad.csv", "a,b,c,d,e,f\n1,2,3,4,5,six\n", "line 2, column 'f': 'six' is not a number"),
        ("bad.png", "", "this classifier reads vectors"),
        ("none.csv", "", "holds no rows"),
        ("five.npz", None, r"five.npz has 5 features where 6 are wanted"),
        ("pictures.npz", None, "no array 'features' or 'embeddings'"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=complaint):
            predict(tmp_path / "run", tmp_path / name)
    (tmp_path / "more.csv").write_text("a,b,c,d,e,f,note\n1,2,3,4,5,6,seven\n")
    assert len(predict(tmp_path / "run", tmp_path / "more.csv")) == 1, "other columns are passed over, and named"


def test_what_works_on_images_alone_is_refused_before_anything_is_trained(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="classical works on images alone"):
        prove(table, arms="raw,classical", out=tmp_path / "run")
    with pytest.raises(InputError, match="what is grown are files of images"):
        grow(table, tmp_path / "grown", method="cgan")
    with pytest.raises(InputError, match="what is grown are files of images"):
        run(table, grow="cgan", out=tmp_path / "run")
    with pytest.raises(InputError, match="no size in pixels"):
        run(table, size=8, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("arm", ["label_smoothing", "manifold", "mixup(ways=3)", "placebo+mixup"])
def test_every_method_that_reads_vectors_trains_on_them(table: Path, tmp_path: Path, arm: str) -> None:
    study = prove(table, arms=f"raw,{arm}", repeats=1, learning_curve=False, workers=1, out=tmp_path / "run")
    assert {trial.arm for trial in study.trials} == {"raw", arm}
    assert {trial.failed for trial in study.trials} == {None}
    assert all(np.isfinite(trial.test_probabilities).all() for trial in study.trials)


def test_a_dry_run_knows_vectors(table: Path) -> None:
    document = prove_forecast(table, repeats=2, workers=1).to_json()
    assert list(document["arms"]) == ["raw", "placebo", "mixup", "raw@50%", "raw@70%"]


def test_copies_of_test_rows_are_a_leak_and_honest_rows_are_none() -> None:
    test, train, unseen = (easy_vectors([6], key=key).images for key in ("test", "train", "unseen"))
    assert leak(train, unseen, test, train) is None
    assert leak(easy_vectors([9], key="new").images, unseen, test, train) is None
    assert leak(np.concatenate([train, test[2:3]]), unseen, test, train) == (
        "1 of 6 test rows is among the 7 extra rows"
    )
    assert leak(test, unseen, test, test) is None, "what training shows is no secret"
