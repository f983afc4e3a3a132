"""`adapt`: what it leaves, what it never reads, and what bad sets get."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from made_up_folders import write_folders
from PIL import Image

from made_up_sets import easy_set, easy_vectors
from tenfold.adaptation.selection import SOURCE, AdaptedArm
from tenfold.adaptation.sets import read_sets
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.report.documents import adaptation_text
from tenfold.verbs.adapt import adapt, adapt_forecast
from tenfold.verbs.adapt_result import Adaptation, TrainedArms, judged, sealed_test
from tenfold.verbs.predict import predict

STEPS = 25
verb = importlib.import_module("tenfold.verbs.adapt")


def fainter(image: np.ndarray) -> np.ndarray:
    return image // 3 + 80


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_folders(root / "source", [20, 20], (1, 16, 16))
    write_folders(root / "test", [8, 8], (1, 16, 16), key="test")
    for index, image in enumerate(easy_set([15, 15], (1, 16, 16), noise=40, key="target").images):
        (root / "target").mkdir(exist_ok=True)
        Image.fromarray(fainter(image[0])).save(root / "target" / f"={index:03d}.png")
    for path in (root / "test").glob("*/*.png"):
        Image.fromarray(fainter(np.asarray(Image.open(path)))).save(path)
    return root


@pytest.fixture(scope="module")
def adapted(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    out = tmp_path_factory.mktemp("out") / "run"
    options: dict[str, Any] = {"test": folders / "test", "steps": STEPS, "confidence": 0.6}
    return adapt(folders / "source", folders / "target", out=out, workers=2, **options)


def test_everything_is_left_and_agrees(adapted: Adaptation, folders: Path) -> None:
    out, result = adapted.directory, adapted.document
    assert read_json(out / "adapt.json") == json.loads(json.dumps(result))
    rows = list(csv.reader((out / "predictions.csv").open()))
    assert len(rows) == 31
    assert rows[1][0] == "'=000.png", "no file name acts as a formula"
    assert all(float(row[2]) >= 0.5 for row in rows[1:])
    assert len(list((out / "arms").glob("*.safetensors"))) == 7
    assert sum(row["predicted"] for row in result["classes"]) == 30
    assert [arm["name"] for arm in result["arms"] if arm["chosen"]] == [adapted.chosen]
    page = (out / "report.html").read_text()
    assert "data:image/png;base64" in page
    assert "http" not in page.replace("http-equiv", "")
    assert adapted.sentence in adapted.text.replace("\n", " ")
    source, target, test = (folders / name for name in ("source", "target", "test"))
    assert result["command"] == (
        f"tenfold adapt {source} --to {target} --steps {STEPS} --test {test} --confidence 0.6 --out {out}"
    )
    assert set(result["domain_probe"]) == {"source only", adapted.chosen}


def test_the_labelled_target_holds_what_is_confident_and_says_that_labels_are_predicted(adapted: Adaptation) -> None:
    lines = [
        json.loads(line) for line in (adapted.directory / "labelled" / "metadata.jsonl").read_text().splitlines()
    ]
    assert len(lines) == adapted.document["labelled"]["written"]
    assert 0 < len(lines) <= 30
    for line in lines:
        assert (line["origin"], line["label_origin"]) == ("real", "predicted")
        assert line["confidence"] >= 0.6
    again = load(adapted.directory / "labelled")
    assert set(again.class_names) <= {"a", "b"}
    assert again.image_shape == (1, 16, 16), "as they were read, and not as the network saw them"


def test_the_kept_classifier_predicts_the_same_from_the_files(adapted: Adaptation, folders: Path) -> None:
    assert any(mend["applied"] for mend in adapted.document["mends"])
    assert read_json(adapted.directory / "classifier.json")["frame"]["contrast"] == 1.0
    rows = list(csv.reader((adapted.directory / "predictions.csv").open()))[1:]
    predictions = predict(adapted.directory, folders / "target")
    assert [one.label for one in predictions] == [row[1] for row in rows]
    assert np.allclose([one.confidence for one in predictions], [float(row[2]) for row in rows], atol=1e-4)


def test_it_goes_on_where_it_was_stopped_whatever_the_workers(
    adapted: Adaptation, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"test": folders / "test", "out": tmp_path / "run", "steps": STEPS, "confidence": 0.6}
    options["workers"] = 1
    train, done = verb.train_arm, []

    def killed(name: str, *arguments: Any) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(name)
        return train(name, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(verb, "train_arm", killed)
        with pytest.raises(KeyboardInterrupt):
            adapt(folders / "source", folders / "target", **options)
    resumed = adapt(folders / "source", folders / "target", **options)
    for one, other in zip(adapted.document["arms"], resumed.document["arms"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert adapt(folders / "source", folders / "target", **options).document == resumed.document
    with pytest.raises(InputError, match="other options \\(steps\\)"):
        adapt(folders / "source", folders / "target", **{**options, "steps": STEPS + 1})


def test_no_label_of_the_target_is_read(folders: Path, tmp_path: Path) -> None:
    inverted = load(folders / "test")
    shuffled = ImageDataset(
        inverted.name, inverted.images, inverted.labels[::-1].copy(), ("x", "y"), inverted.groups, inverted.sources,
        inverted.roles,
    )  # fmt: skip
    one, other = (read_sets([folders / "source"], target, None) for target in (inverted, shuffled))
    assert one.fingerprints() == other.fingerprints()
    assert set(one.target.labels) == {0}


def test_without_a_test_nothing_is_claimed(folders: Path, tmp_path: Path) -> None:
    adaptation = adapt(
        folders / "source", folders / "target", out=tmp_path / "run", steps=10, workers=1, reframe="no"
    )
    assert adaptation.document["test"] is None
    assert "nothing is known of how often it is right" in adaptation.sentence
    assert not any(mend["applied"] for mend in adaptation.document["mends"])
    assert "not mended" in adaptation_text(adaptation.document)


def test_patients_of_four_images_count_once() -> None:
    """Two arms of which each is right or wrong on all images of a patient."""
    labels, draw = np.arange(240) // 120, Key("adapted patients").numpy_generator()
    right = {name: np.repeat(draw.random(60) < share, 4) for name, share in (("MCC", 0.8), (SOURCE, 0.6))}
    predicted = {name: np.where(hits, labels, 1 - labels) for name, hits in right.items()}
    both = tuple(AdaptedArm(name, None, 0.9, 0.9, (0.5, 0.5), {}) for name in right)  # type: ignore[arg-type]  # no network is asked
    trained = TrainedArms(both, {}, {})

    def widths(groups: npt.NDArray[np.int64]) -> list[float]:
        test = easy_set([120, 120], groups=groups.tolist())
        arms = [
            {"name": arm.name, "chosen": arm is both[0], "test": judged(test, predicted[arm.name])} for arm in both
        ]
        told = sealed_test(test, arms, both[0], trained, predicted)
        assert told["groups"] == len(np.unique(groups))
        return [np.ptp(told["interval"]), np.ptp(told["gain_points"][1:])]

    ratios = np.divide(widths(np.arange(240) // 4), widths(np.arange(240)))
    assert ((ratios > 1.8) & (ratios < 2.2)).all(), ratios


def test_a_forecast_writes_nothing(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prediction = adapt_forecast([folders / "source"], folders / "target")
    assert "7 arms would be trained on 36 labelled images and 30 of target without labels" in prediction.sentence
    assert prediction.to_json()["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_classes_are_matched_by_name_and_differences_told(tmp_path: Path) -> None:
    write_folders(tmp_path / "one", [6, 6])
    write_folders(tmp_path / "two", [6, 6], key="two", b="c")
    write_folders(tmp_path / "test", [3, 3, 3], key="test", a="b", b="c", c="new")
    target = easy_set([30, 30], key="target")
    sets = read_sets([tmp_path / "one", tmp_path / "two"], target, tmp_path / "test")
    assert sets.class_names == ("a", "b", "c")
    text = " | ".join(sets.warnings)
    assert "one has no images of 'c', which other sources have" in text
    assert "no source has the classes 'new' of the test set: its 3 images of them are left out" in text
    assert "the test set has no images of 'a'" in text
    assert sets.test is not None
    assert np.array_equal(sets.test.counts(), [0, 3, 3])
    with pytest.raises(InputError, match="shares no class with the sources"):
        read_sets([tmp_path / "one"], target, write_folders(tmp_path / "else", [3, 3], key="test", a="x", b="y"))


def test_files_that_cannot_be_read_are_set_aside_and_told(tmp_path: Path) -> None:
    source, target = write_folders(tmp_path / "source", [6, 6]), tmp_path / "target"
    (source / "a" / "broken.png").write_bytes(b"<html>")
    target.mkdir()
    (target / "empty.png").write_bytes(b"")
    Image.fromarray(easy_set([1]).images[0, 0]).save(target / "good.png")
    text = " | ".join(read_sets([source], target, None).warnings)
    assert "1 of source set aside, such as a/broken.png" in text
    assert "1 of target set aside, such as empty.png (empty file" in text


def test_sets_that_cannot_be_used_are_refused_and_odd_ones_told(tmp_path: Path) -> None:
    source, target = easy_set([8, 8]), easy_set([30, 30], key="target")
    with pytest.raises(InputError, match="single class"):
        read_sets([easy_set([8])], target, None)
    with pytest.raises(InputError, match=r"16 of the target's 16 images are among those of made-up easy"):
        read_sets([source], source, None)
    with pytest.raises(InputError, match=r"picture-2 and 0 more images of the test set .* are among those of"):
        read_sets([source], target, easy_set([4, 4], key="test").joined(source.take([2])))
    with pytest.raises(InputError, match="vectors"):
        read_sets([easy_vectors([4, 4])], target, None)
    with pytest.raises(InputError, match="no such file"):
        read_sets([tmp_path / "nowhere"], target, None)
    with pytest.raises(InputError, match=r"confidence=1\.5: it must be at most 1"):
        adapt(source, target, confidence=1.5)
    with pytest.raises(InputError, match="no images outside its test part"):
        read_sets([source], easy_set([3, 3], roles=["test"] * 6), None)
    with pytest.raises(InputError, match="at least one labelled set"):
        adapt([], target)
    sets = read_sets([source], target.take([0]), target.part("train"))
    assert "the target has only 1 image:" in sets.warnings[0]
    assert "1 of the 60 test images are also among the target's" in sets.warnings[1]


def test_a_target_of_one_image_gets_an_answer(tmp_path: Path) -> None:
    adaptation = adapt(easy_set([8, 8]), easy_set([1], key="one"), out=tmp_path / "run", steps=10, workers=1)
    assert sum(row["predicted"] for row in adaptation.document["classes"]) == 1
    assert any("only 1 image" in warning for warning in adaptation.document["warnings"])


def test_several_sources_of_several_sizes_and_colours(tmp_path: Path) -> None:
    sources = [easy_set([8, 8], (3, 12, 12)), easy_set([8, 8], (1, 10, 10), key="grey")]
    adaptation = adapt(sources, easy_set([20, 20], key="target"), out=tmp_path / "run", steps=10, workers=1)
    assert [source["name"] for source in adaptation.document["sources"]] == ["made-up easy", "made-up grey"]
    assert (adaptation.document["frame"]["side"], adaptation.document["frame"]["channels"]) == (12, 1)
