"""`restyle`: paint each picture's style under every other label, and say what these pictures are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tenfold.core.durations import about
from tenfold.core.files import prepare_output, write_bytes, write_json
from tenfold.core.keys import Key
from tenfold.core.progress import note
from tenfold.core.types import ImageDataset
from tenfold.methods.base import MethodFailed, make_method
from tenfold.methods.kept import save_generator
from tenfold.methods.restyle import Method, Restyler
from tenfold.report.preview_sheet import Cell, PreviewSheet, preview_png
from tenfold.train.restyling_gates import Gates, codes_of, held_out, painted
from tenfold.verbs.generators import DryRun, generator_key, restyling_time
from tenfold.verbs.grow import chosen_of, labels_of, read_images
from tenfold.verbs.grown_set import GrowResult, write_grown

FILE = "restyler.safetensors"
GRID_ROWS, MOST_COLUMNS = 10, 30
OWN = "its own class"


@dataclass(frozen=True, eq=False)
class Restyled:
    """What was painted and where it lies."""

    grown: GrowResult
    gates: Gates

    @property
    def sentence(self) -> str:
        return f"{self.grown.sentence}; the grid is {self.grown.directory / 'grid.png'}"

    @property
    def text(self) -> str:
        """What the terminal shows: a line a gate, then what was written."""
        return "\n".join([*self.gates.sentences, self.sentence])

    def to_json(self) -> dict[str, Any]:
        return self.grown.to_json() | {
            "gates": self.gates.to_json(),
            "gates_in_words": list(self.gates.sentences),
            "grid": str(self.grown.directory / "grid.png"),
        }


def restyle(
    data: str | Path | ImageDataset,
    out: str | Path,
    *,
    times: float = 1.0,
    classes: Sequence[str] = (),
    preset: str = "fast",
    steps: int | None = None,
    code_size: int | None = None,
    keep_copies: bool = False,
    seed: int = 0,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
) -> Restyled:
    """Train an autoencoder that tells style from label and write what it paints: about `times` new pictures for each
    real one, in OUT/<class>/*.png with OUT/metadata.jsonl, beside grid.png, gates.json and restyler.safetensors.

    Each picture has the class of a real one and the style of another, its parent, which is of another class.

    Args:
        classes: those to paint new pictures of; all, unless given.
        preset: `article` for the loss of the article behind this, which does not do.
        steps: of the training; chosen from the number of images unless given.
        code_size: values that hold a style.

    Raises:
        InputError: the data, an option or OUT cannot be used.
        MethodFailed: too few of the new labels can be read. The grid and the gates are written, the pictures are not.
    """
    method, directory = _method(preset, steps, code_size), Path(out)
    prepare_output(directory)
    real = read_images(data, size=size, per_class=per_class, images=images, seed=seed)
    labels = labels_of(classes, real.class_names)
    method, key = method.settled(real), generator_key(method, seed)
    note(f"restyling {len(real)} images of {real.class_count} classes")
    restyler = method.learn(real, key, shown=True)
    grid = preview_png(style_grid(restyler, real, method.config.hold_out, key))
    try:
        method.require(restyler)
        grown = method.more(restyler, real, chosen_of(real, times, labels), key)
        result = write_grown(
            directory, real, grown, method.name(), seed, only_new=True, keep_copies=keep_copies, command="restyle"
        )
    except MethodFailed as failure:
        _write_gates(directory, grid, restyler.gates, str(failure))
        for sentence in restyler.gates.sentences:
            note(sentence)
        raise type(failure)(
            f"{failure}; grid.png and gates.json in {directory} show what came out; more images or --steps may help"
        ) from failure
    _write_gates(directory, grid, restyler.gates, None)
    save_generator(directory / FILE, method, real, grown.generator, grown.details, seed)
    return Restyled(result, restyler.gates)


def restyle_forecast(
    data: str | Path | ImageDataset,
    *,
    times: float = 1.0,
    classes: Sequence[str] = (),
    preset: str = "fast",
    steps: int | None = None,
    code_size: int | None = None,
    seed: int = 0,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
) -> DryRun:
    """Say what `restyle` would train and paint with these options and how long the training takes; writes nothing.

    Raises:
        InputError: the data or an option cannot be used.
    """
    method = _method(preset, steps, code_size)
    real = read_images(data, size=size, per_class=per_class, images=images, seed=seed)
    count = len(chosen_of(real, times, labels_of(classes, real.class_names)))
    taken, seconds = restyling_time(method, real, seed)
    sentence = (
        f"restyle would be trained on {len(real)} images of {real.class_count} classes for {taken} steps, "
        f"{about(seconds)}, and paint {count} new pictures"
    )
    facts = {"method": "restyle", "real_images": len(real), "new_images": count, "steps": taken}
    return DryRun(sentence, facts | {"seconds": round(seconds, 1)})


def style_grid(restyler: Restyler, real: ImageDataset, share: float, key: Key) -> PreviewSheet:
    """A row for the style of one picture, held out where any were: the picture, then what it is as every class."""
    learned, apart = held_out(real, share, key)
    shown = learned if apart is None else apart
    rows = _one_of_each(shown, GRID_ROWS, key / "grid")
    columns = min(MOST_COLUMNS, real.class_count)
    codes = codes_of(restyler.fader, shown.images[rows]).repeat_interleave(columns, 0)
    labels = np.tile(np.arange(columns, dtype=np.int64), len(rows))
    pictures = painted(restyler.fader, torch.as_tensor(codes), labels).reshape(len(rows), columns, *real.image_shape)
    table: list[list[Cell | None]] = []
    for row, made in zip(rows, pictures, strict=True):
        own = int(shown.labels[row])
        cells = [Cell(picture, (OWN,) if label == own else ()) for label, picture in enumerate(made)]
        table.append([Cell(shown.images[row], (real.class_names[own],)), *cells])
    seen = "which nothing learned from" if apart is not None else "of those learned from"
    left_out = f" {real.class_count - columns} more classes are not shown." if real.class_count > columns else ""
    return PreviewSheet(
        f"restyle on {real.name}",
        f"Left a real picture, {seen}; beside it its style under the label of each column.{left_out}",
        ["real", *real.class_names[:columns]],
        table,
    )


def _one_of_each(images: ImageDataset, most: int, key: Key) -> npt.NDArray[np.int64]:
    """One picture of each class, of `most` classes at most, spread over all; in the order of the classes."""
    present = np.unique(images.labels)
    present = present[np.unique(np.linspace(0, len(present) - 1, min(most, len(present))).round().astype(int))]
    order = key.numpy_generator().permutation(len(images))
    return np.array([order[images.labels[order] == label][0] for label in present], dtype=np.int64)


def _method(preset: str, steps: int | None, code_size: int | None) -> Method:
    given = {"preset": preset, "steps": steps, "code_size": code_size}
    method = make_method("restyle", {name: value for name, value in given.items() if value is not None})
    assert isinstance(method, Method)
    return method


def _write_gates(directory: Path, grid: bytes, gates: Gates, refused: str | None) -> None:
    write_bytes(directory / "grid.png", grid)
    write_json(
        directory / "gates.json",
        gates.to_json() | {"in_words": list(gates.sentences), "passed": refused is None, "refused": refused},
    )
