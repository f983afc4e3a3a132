"""`predict`: name the class of new images, or of new vectors, with a trained classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.adaptation.framing import Frame, frame_of
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_text
from tenfold.core.options import PredictOptions
from tenfold.core.output import new_file, require_apart
from tenfold.core.progress import note, warn
from tenfold.core.types import ValueRanges
from tenfold.data.audit import FILE_WARNINGS
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.images import resize_to_squares, shrink, with_channels
from tenfold.data.readers import npz, read_file, table
from tenfold.data.readers.walk import walk
from tenfold.data.tables import SUFFIXES
from tenfold.data.value_range import OWN_RANGE, kind_of
from tenfold.evaluation.label_next import label_next
from tenfold.report.text import predictions_csv
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.classifier_io import load_classifier
from tenfold.verbs import on_chosen_device


@dataclass(frozen=True)
class Prediction:
    """What the classifier says of one file, or of one row of a file of vectors."""

    file: str
    """Of a row its `file_name` or `id`, or else where it stands."""
    label: str
    """The most probable class; empty where it is set aside."""
    confidence: float
    """The probability of that class, 0..1."""
    probabilities: dict[str, float]
    set_aside: bool | None = None
    """Whether it is less sure than was asked for; None where nothing was."""
    label_next: int | None = None
    """Its place, from 1, among those whose labels would teach most; None where they were not asked for."""


@on_chosen_device
def predict(
    classifier: str | Path,
    images: str | Path | Sequence[str | Path],
    options: PredictOptions | None = None,
    *,
    out: str | Path | None = None,
    **changes: Any,
) -> list[Prediction]:
    """Read image files (folders are searched) and name the class of each, in the order given.

    Files that cannot be read are left out with a warning. Values of more than 8 bits are scaled by the range that the
    classifier's own images were scaled by, whatever lies beside them. A classifier of `tenfold adapt` sees images in
    the frame that it was trained in. A classifier of vectors reads .npz, .csv and .tsv files and names the class of
    each row; a column that says the class is passed over. `out` also writes out/predictions.csv.
    Where `min_confidence` is given, what is less sure gets an empty label; where `next` is given, only so many are
    told, those whose labels would teach most, in that order. `changes` are fields of `PredictOptions` by name.

    Raises:
        InputError: no classifier there, a path that does not exist, not one readable image, vectors of another
            length than those learned from, or predictions.csv is there already.
    """
    asked = PredictOptions.of(options, changes)
    wanted = [images] if isinstance(images, str | Path) else images
    paths = [Path(path) for path in wanted]
    if out is None:
        return _predicted(Path(classifier), paths, asked)
    table = Path(out) / "predictions.csv"
    require_apart(table, *paths)
    with new_file(table):
        predictions = _predicted(Path(classifier), paths, asked)
        write_text(table, predictions_csv(predictions))
    return predictions


def _predicted(classifier: Path, paths: Sequence[Path], options: PredictOptions) -> list[Prediction]:
    trained = load_classifier(classifier)
    inputs: npt.NDArray[Any]
    if trained.reads_vectors:
        files, inputs = _vectors(paths, trained, options.file_column)
    else:
        files, inputs = _images(paths, trained, _frame(classifier))
    rows = trained.probabilities(inputs)
    predictions = predictions_of(files, rows, trained.class_names)
    if options.next is not None:
        chosen = label_next(rows, trained.features(inputs), options.next)
        note(f"{len(chosen):,} of {len(files):,} are told: the labels of these would teach most, the first one first")
        predictions = [replace(predictions[row], label_next=place) for place, row in enumerate(chosen, 1)]
    return predictions if options.min_confidence is None else _set_aside(predictions, options.min_confidence)


def _set_aside(predictions: Sequence[Prediction], least: float) -> list[Prediction]:
    """Without the labels of those less sure, which is told."""
    judged = [replace(one, set_aside=one.confidence < least) for one in predictions]
    unsure = sum(bool(one.set_aside) for one in judged)
    note(f"{unsure:,} of {len(judged):,} are less sure than {100 * least:g} % and set aside: they get no label")
    return [replace(one, label="") if one.set_aside else one for one in judged]


def predictions_of(
    files: Iterable[str], rows: npt.NDArray[np.float32], class_names: Sequence[str]
) -> list[Prediction]:
    """What N x K probabilities say of N files."""
    return [
        Prediction(
            file=file,
            label=class_names[int(row.argmax())],
            confidence=round(float(row.max()), 5),
            probabilities={name: round(float(share), 5) for name, share in zip(class_names, row, strict=True)},
        )
        for file, row in zip(files, rows, strict=True)
    ]


def _frame(classifier: Path) -> Frame | None:
    """What `adapt` did to every image before the classifier saw it; None of other classifiers."""
    path = classifier / "classifier.safetensors" if classifier.is_dir() else classifier
    return frame_of(read_json(path.with_suffix(".json")).get("frame"))


def _images(
    paths: Iterable[Path], trained: TrainedClassifier, frame: Frame | None = None
) -> tuple[list[str], npt.NDArray[np.uint8]]:
    files, pixels, done = [], [], Counter[str]()
    shape = trained.image_shape if frame is None else (3, frame.read_side, frame.read_side)
    for path in _files(paths):
        try:
            pixels.append(as_trained(read_file(path), shape, trained.value_ranges, done))
            files.append(str(path))
        except UnreadableError as error:
            warn(f"{path} is left out: {error}")
    if not files:
        raise InputError("none of these could be read as an image; give image files or folders of them")
    for what in FILE_WARNINGS:
        if done[what]:
            warn(f"{done[what]} of {len(files)} image{'s' if len(files) > 1 else ''}: {what}")
    return files, np.stack(pixels) if frame is None else frame.of(np.stack(pixels))


def _vectors(
    paths: Iterable[Path], trained: TrainedClassifier, file_column: str | None
) -> tuple[list[str], npt.NDArray[np.float32]]:
    names: list[str] = []
    values: list[npt.NDArray[np.float32]] = []
    for path in _files(paths, (".npz", *SUFFIXES)):
        if path.suffix.lower() not in (".npz", *SUFFIXES):
            raise InputError(f"{path}: this classifier reads vectors; give an .npz with features, a .csv or a .tsv")
        if npz.reads(path):
            rows = npz.read_vectors(path)
        else:
            rows = table.read_vectors(path, trained.feature_names, file_column)
        for told in rows.columns:
            warn(f"{path}: {told}")
        names += rows.sources
        values.append(
            table.in_order(rows.values, rows.feature_names, trained.feature_names, trained.image_shape[0], str(path))
        )
    if not values:
        raise InputError("there are no vectors in these; give .npz, .csv or .tsv files, or folders of them")
    return names, np.concatenate(values)[:, :, np.newaxis, np.newaxis]


def _files(paths: Iterable[Path], suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The files given and those in the folders given: all that may be images, or those with one of the suffixes."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = walk(path)
            found = inside.images if not suffixes else sorted([*inside.images, *inside.others])
            files += [path / name for name in found if not suffixes or name.lower().endswith(suffixes)]
            for entry in inside.set_aside:
                warn(f"{path / entry.source} is left out: {entry.reason}")
            for what, count in () if suffixes else inside.not_read.items():
                warn(f"{path}: {count:,} {what}")
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"{path}: no such file or folder" if not path.exists() else f"{path}: no regular file")
    return files


def as_trained(
    image: DecodedImage, shape: tuple[int, int, int], ranges: ValueRanges, done: Counter[str]
) -> npt.NDArray[np.uint8]:
    """The image as the training set's were: the same side, the same number of channels, the same range of values."""
    channels, side, _ = shape
    square, conversions = resize_to_squares([shrink(image, side)], [image.longer_side], side, ranges)
    kind = kind_of(image.pixels)
    done.update(conversions)
    done[OWN_RANGE] += kind is not None and kind not in ranges
    pixels: npt.NDArray[np.uint8] = with_channels(square, channels)[0]
    return pixels
