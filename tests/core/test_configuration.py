"""Configurations as they are read, written and named."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.configuration import from_json, hash_of, read_strictly, to_json
from tenfold.core.errors import InputError
from tenfold.core.study_options import RunOptions


@dataclass(frozen=True)
class Part:
    name: str
    share: float = 1.0


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    steps: int = 3
    note: str | None = None


def test_values_are_converted_where_nothing_is_lost() -> None:
    assert read_strictly(Part, {"name": "a", "share": "0.5"}) == Part("a", 0.5)
    assert read_strictly(Whole, {"parts": [], "steps": np.int64(7)}) == Whole((), 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "shares": 1}, "cgan has no option 'shares'. Did you mean 'share'?"),
        ({"name": "a", "share": "much"}, "cgan(share=much): "),
        ({"share": 1}, "cgan: the option 'name' is missing"),
    ],
)
def test_what_cannot_be_read_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as result:
        read_strictly(Part, values, "cgan")
    assert str(result.value).startswith(message)


def test_json_and_back() -> None:
    whole = Whole((Part("a"), Part("b", math.inf)), 5, "x")
    document = json.loads(json.dumps(to_json(whole), allow_nan=False))
    assert document["parts"][0] == {"name": "a", "share": 1.0}
    assert from_json(Whole, document | {"sentence": "derived, and passed over"}) == whole


def test_arrays_paths_and_numpy_numbers_have_a_form() -> None:
    value = {"a": np.arange(2), "b": np.float32(0.5), "c": Path("x/y"), "d": {"z", "y"}}
    assert to_json(value) == {"a": [0, 1], "b": 0.5, "c": "x/y", "d": ["y", "z"]}
    with pytest.raises(TypeError, match="object"):
        to_json(object())


def test_a_hash_depends_on_values_and_not_on_their_order() -> None:
    assert hash_of({"a": 1, "b": (2, 3)}) == hash_of({"b": [2, 3], "a": 1})
    assert hash_of(Part("a")) != hash_of(Part("a", 0.5))
    assert len(hash_of(None)) == 12


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([field.name for field in fields(RunOptions)]), VALUES, max_size=4))
@settings(max_examples=200)
def test_options_of_any_value_are_taken_or_refused(values: dict[str, Any]) -> None:
    with suppress(InputError):
        options = RunOptions.of(None, values)
        assert RunOptions.of(None, json.loads(json.dumps(options.to_json()))) == options


@pytest.mark.parametrize("values", [None, [], "x", 3])
def test_what_is_no_object_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="no object"):
        read_strictly(Part, values, "part")
