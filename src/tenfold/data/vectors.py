"""Vectors in place of pictures, a row an example: what .npz files and tables have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.data.archives import read_npz
from tenfold.data.listing import Listing, every_image_alone, reject_empty

ARRAY_NAMES = ("features", "embeddings")
LARGEST = 1e30
"""Beyond it the float32 that networks read has no room left for differences and squares."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a file of vectors holds, before anything is made of its labels."""

    values: Values
    """N x F."""
    sources: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    """F; empty where the columns have no names."""
    words: Mapping[str, list[str]] | None = None
    """The columns that are no features, by what they mean: {"label": [...]}; None for an .npz."""


def list_vectors(
    name: str,
    rows: Rows,
    class_names: Sequence[str],
    labels: npt.NDArray[np.int64],
    roles: npt.NDArray[np.str_],
    groups: npt.NDArray[np.int64] | None,
) -> Listing:
    """A listing of vectors.

    Raises:
        InputError: there is a single row, or a class without any.
    """
    if len(rows.values) == 1:
        raise InputError(f"{name} holds a single row, and nothing can be told from one; add rows")
    return reject_empty(
        Listing(
            name=name,
            class_names=tuple(class_names),
            labels=labels,
            groups=every_image_alone(len(labels)) if groups is None else groups,
            sources=rows.sources,
            roles=roles,
            vectors=rows.values,
            feature_names=rows.feature_names,
            roles_given_by_user=bool((roles != "train").any()),
        )
    )


def rows_of_npz(path: Path) -> Rows:
    """The vectors of an .npz, whose labels are not asked for.

    Raises:
        InputError: it holds none, or a value that cannot be used.
    """
    arrays = read_npz(path)
    kind = next((name for name in ARRAY_NAMES if name in arrays), None)
    if kind is None:
        raise InputError(f"{path} has no array 'features' or 'embeddings' (it has {', '.join(arrays) or 'none'})")
    return rows_of_array(path, arrays[kind], kind)


def rows_of_array(path: Path, values: npt.NDArray[Any], kind: str, name: str | None = None) -> Rows:
    """N x F numbers of the array `kind` of an .npz.

    Raises:
        InputError: they are no numbers, not of that shape, or not finite.
    """
    numeric = values.dtype == np.bool_ or np.issubdtype(values.dtype, np.number)
    if not numeric or np.iscomplexobj(values):
        raise InputError(f"{path}: {kind} are {values.dtype}; save them as float32 or another numeric type")
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"{path}: {kind} has shape {values.shape}; wanted N,F: a row an example, a column a feature")
    exact = as_float32(values, lambda row, column: f"{path}: {kind}[{':' if row is None else row}, {column}]")
    return Rows(exact, tuple(f"{name or path.stem}[{index}]" for index in range(len(exact))))


def in_order(values: Values, names: Sequence[str], wanted: Sequence[str], count: int, what: str) -> Values:
    """N x F (x 1 x 1) with the columns in the order `wanted`; as they are where one of the two has no names.

    Raises:
        InputError: there are not `count` columns, or one that is wanted is missing.
    """
    missing = [name for name in wanted if name not in names] if names else []
    hint = f" (there is no column {missing[0]!r})" if missing else ""
    if values.shape[1] != count:
        raise InputError(
            f"{what} has {values.shape[1]} features where {count} are wanted{hint}; give the same columns"
        )
    if missing:
        raise InputError(f"{what} has no column {missing[0]!r}; name the columns as they were named in training")
    return values[:, [list(names).index(name) for name in wanted]] if names and wanted else values


def as_float32(values: npt.NDArray[Any], where: Callable[[int | None, int], str]) -> Values:
    """The values as networks read them; `where` names a cell, or with None a whole column.

    Raises:
        InputError: one is NaN, infinite or too large, or a column loses all that it tells.
    """
    exact = values if values.dtype == np.float32 else values.astype(np.float64)
    usable = np.abs(exact) <= LARGEST
    if not usable.all():
        row, column = (int(place) for place in np.argwhere(~usable)[0])
        value = float(exact[row, column])
        fault = f"beyond {LARGEST:g}; rescale it" if np.isfinite(value) else "not a finite number; fill it in"
        raise InputError(f"{where(row, column)}: {value:g} is {fault}, or leave the row or the column out")
    kept: Values = exact.astype(np.float32) + np.float32(0)  # -0 becomes 0, so that equal rows are equal bytes
    lost = (exact != exact[:1]).any(axis=0) & (kept == kept[:1]).all(axis=0)
    if lost.any():
        raise InputError(
            f"{where(None, int(np.argmax(lost)))}: its values differ by less than the 7 digits that are kept can "
            "tell; subtract their mean, or rescale them"
        )
    return kept
