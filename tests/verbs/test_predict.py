from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from made_up_folders import write_folders
from PIL import Image

from made_up_sets import SHORT, easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.classifier_io import save_classifier
from tenfold.training.recipe import Recipe
from tenfold.verbs.predict import Prediction, predict


def kept(directory: Path, shape: tuple[int, int, int] = (1, 8, 8)) -> TrainedClassifier:
    classifier = train_classifier(easy_set([8, 8, 8], shape), None, Recipe(), Key("predict"), SHORT)
    save_classifier(directory / "classifier.safetensors", classifier, {})
    return classifier


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12)], ids=str)
def test_predictions_are_the_classifiers_own(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    classifier = kept(tmp_path / "run", shape)
    folder = write_folders(tmp_path / "new", [3, 3, 3], shape)
    predictions = predict(tmp_path / "run", folder, out=tmp_path / "out")
    data = load(folder)
    assert [one.file for one in predictions] == [str(folder / source) for source in data.sources]
    rows = classifier.probabilities(data.images)
    for one, row in zip(predictions, rows, strict=True):
        assert list(one.probabilities.values()) == [round(float(share), 5) for share in row]
        assert one.label == classifier.class_names[row.argmax()]
        assert one.confidence == round(float(row.max()), 5)
    table = list(csv.reader(io.StringIO((tmp_path / "out/predictions.csv").read_text())))
    assert table[0] == ["file", "class", "confidence", *(f"probability of class {k}" for k in range(3))]
    assert [row[0] for row in table[1:]] == [one.file for one in predictions]
    for line, row in zip(table[1:], rows, strict=True):
        assert np.allclose([float(cell) for cell in line[3:]], row, atol=1e-5)


def test_files_keep_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    folder = write_folders(tmp_path / "new", [2, 1])
    files = [folder / "b/002.png", folder / "a/001.png"]
    predictions = predict(tmp_path / "run/classifier.safetensors", files)
    assert [one.file for one in predictions] == [str(file) for file in files]
    assert len(predict(tmp_path / "run", [files[0], folder])) == 4
    assert not list(tmp_path.rglob("predictions.csv"))


def test_colour_is_turned_to_grey_and_grey_to_colour_and_every_size_fits(tmp_path: Path) -> None:
    colour = np.full((24, 24, 3), 60, np.uint8)
    colour[:8] = 200
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(colour[:, :12]).save(tmp_path / "narrow.png")
    images = [tmp_path / name for name in ("colour.png", "grey.png", "narrow.png")]
    for shape in ((1, 8, 8), (3, 12, 12)):
        kept(tmp_path / str(shape), shape)
        first, second, third = predict(tmp_path / str(shape), images)
        assert first.label == second.label == third.label == "class 0", "the band at the top"
        assert first.probabilities == second.probabilities


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(tmp_path / "run")
    folder = write_folders(tmp_path / "new", [2])
    (folder / "a/empty.png").write_bytes(b"")
    (folder / "a/page.jpg").write_text("<html>")
    (folder / "notes.txt").write_text("no image")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    predictions = predict(tmp_path / "run", folder)
    assert [Path(one.file).name for one in predictions] == ["000.png", "001.png"]
    warnings = capsys.readouterr().err
    assert "empty.png is left out: empty file" in warnings
    assert "page.jpg is left out: a web page" in warnings
    assert "gone.png is left out" in warnings
    assert "notes.txt" not in warnings


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"bad")
    for images in (tmp_path / "empty", [tmp_path / "bad.png"], []):
        with pytest.raises(InputError, match="none of these could be read"):
            predict(tmp_path / "run", images)
    with pytest.raises(InputError, match="no such file or folder"):
        predict(tmp_path / "run", [tmp_path / "nowhere"])


def test_without_a_classifier_it_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`tenfold run DATA` makes one"):
        predict(tmp_path / "run", tmp_path)


def test_predictions_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    folder = write_folders(tmp_path / "new", [1])
    predict(tmp_path / "run", folder, out=tmp_path / "out")
    before = (tmp_path / "out/predictions.csv").read_bytes()
    with pytest.raises(InputError, match="nothing is overwritten"):
        predict(tmp_path / "run", write_folders(tmp_path / "other", [2]), out=tmp_path / "out")
    assert (tmp_path / "out/predictions.csv").read_bytes() == before


def test_what_is_less_sure_than_asked_for_gets_no_label_and_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path / "run")
    folder = write_folders(tmp_path / "new", [4, 4, 4])
    all_of_them = predict(tmp_path / "run", folder)
    assert {one.set_aside for one in all_of_them} == {None}
    least = sorted(one.confidence for one in all_of_them)[5]
    told = predict(tmp_path / "run", folder, min_confidence=least, out=tmp_path / "out")
    assert sum(bool(one.set_aside) for one in told) == 5
    assert f"5 of 12 are less sure than {100 * least:g} % and set aside" in capsys.readouterr().err
    for one, plain in zip(told, all_of_them, strict=True):
        assert (one.confidence, one.probabilities) == (plain.confidence, plain.probabilities)
        assert one.label == ("" if one.set_aside else plain.label)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/predictions.csv").read_text())))
    assert [(row["class"] == "", row["set aside"]) for row in rows] == [
        (bool(one.set_aside), "yes" if one.set_aside else "no") for one in told
    ]


def test_next_tells_the_least_sure_first_and_no_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier = kept(tmp_path / "run")
    folder = write_folders(tmp_path / "new", [6, 6, 6])
    everything = predict(tmp_path / "run", folder)
    told = predict(tmp_path / "run", folder, next=4, out=tmp_path / "out")
    assert "4 of 18 are told" in capsys.readouterr().err
    assert [one.label_next for one in told] == [1, 2, 3, 4]
    assert len({one.file for one in told}) == 4

    def margin(one: Prediction) -> float:
        first, second, *_ = sorted(one.probabilities.values(), reverse=True)
        return first - second

    assert margin(told[0]) == pytest.approx(min(map(margin, everything)), abs=1e-4)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/predictions.csv").read_text())))
    assert [(row["file"], row["label next"]) for row in rows] == [(one.file, str(one.label_next)) for one in told]
    for number in range(8):
        (folder / f"a/copy-{number}.png").write_bytes(Path(told[0].file).read_bytes())
    again = [Path(one.file).read_bytes() for one in predict(tmp_path / "run", folder, next=4)]
    assert len(set(again)) == 4
    assert classifier.features(load(folder).images).shape == (26, classifier.network.feature_count)
