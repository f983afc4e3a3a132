"""What `grow`, `sample` and their like share: which real images are read, and which of them new ones are made for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.options import DataOptions
from tenfold.core.progress import warn
from tenfold.core.types import Data, ImageDataset
from tenfold.data.audit import audit, cleaned, told_of_set_aside
from tenfold.data.load import loaded
from tenfold.data.originals import originals_of
from tenfold.methods import Method, spread
from tenfold.runs.arms import Component, parse_component
from tenfold.verbs.full_size import FullSize
from tenfold.verbs.generators import generator_key

EVERYTHING = DataOptions()


def read_images(data: Data, options: DataOptions = EVERYTHING) -> ImageDataset:
    """The images to learn from, cleaned; what is wrong with the set is told as warnings.

    Raises:
        InputError: the data cannot be used, or holds vectors.
    """
    data = loaded(data, options)
    refuse_vectors(data)
    findings = audit(data)
    real = cleaned(data, findings)
    for warning in (*findings.warnings, *told_of_set_aside(real)):
        warn(warning)
    return real.part("train")


def labels_of(names: Sequence[str], known: Sequence[str]) -> tuple[int, ...]:
    """The classes of these names, as indices; all, where none is named.

    Raises:
        InputError: there is no such class; the message names the nearest one.
    """
    for name in names:
        if name not in known:
            raise InputError(f"there is no class '{name}'.{did_you_mean(name, known)}")
    return tuple(known.index(name) for name in dict.fromkeys(names or known))


def refuse_vectors(data: ImageDataset) -> None:
    """Vectors are mixed while training, and no method writes new ones down.

    Raises:
        InputError: the set holds vectors.
    """
    if data.is_vectors:
        raise InputError(
            f"{data.name} holds vectors, and what is grown are files of images; `tenfold prove` tells whether "
            "mixing the vectors while training helps"
        )


def parse_growing(text: str) -> Component:
    """A method that makes new image files, read from `name` or `name(option=value,...)`.

    Raises:
        InputError: the text does not read as that, or the method makes none.
    """
    component = parse_component(text)
    if not component.make({}).makes_files():
        raise InputError(f"{component.method} makes no new image files; it works on batches while training")
    return component


def full_size_of(data: Data, options: DataOptions, real: ImageDataset, method: Method, seed: int) -> FullSize | None:
    """Where images of `real`, which was read of the data, and new ones of them come from with more pixels.

    None where no file has more.

    Raises:
        InputError: the data cannot be read any more.
    """
    originals = originals_of(data, options, real)
    key = generator_key(method, seed) / "full size"
    return None if originals is None else FullSize(originals, method.changing(real), key)


def chosen_of(real: ImageDataset, times: float, labels: Sequence[int]) -> npt.NDArray[np.int64]:
    """For each new image of these classes the real one that it stands beside.

    Raises:
        InputError: there is none.
    """
    chosen = spread(times, len(real))
    chosen = chosen[np.isin(real.labels[chosen], labels)]
    if not len(chosen):
        raise InputError(f"there is nothing to make {times:g} times: no images of the classes named")
    return chosen
