from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from made_up_jobs import job
from tenfold.runs import Job, fingerprint_of

NEEDED = job("square", config={"number": 1})
JOB = Job("made_up_jobs:square", {"number": 3}, reads={"images": "abc"}, needs={"other": NEEDED})


@pytest.mark.parametrize(
    "changes",
    [
        {"function": "made_up_jobs:total"},
        {"config": {"number": 4}},
        {"reads": {"images": "abd"}},
        {"reads": {}},
        {"needs": {"other": job("square", config={"number": 2})}},
        {"device": "cuda"},
        {"modules": ("tenfold.methods.mixup",)},
    ],
)
def test_the_hash_covers_what_decides_the_result(changes: dict[str, Any]) -> None:
    assert replace(JOB, **changes).hash != JOB.hash


def test_the_hash_covers_nothing_else() -> None:
    again = replace(JOB, label="another", kind="sort", cost=2.0, config={"number": 3})
    assert again.hash == JOB.hash
    assert len(JOB.hash) == 16


def test_the_function_is_found_by_its_name() -> None:
    assert JOB.load()({"number": 3}, None)["square"] == 9  # type: ignore[arg-type]


def test_arrays_are_told_apart_by_names_types_shapes_and_values() -> None:
    rows = np.arange(6)
    prints = [
        fingerprint_of(arrays)
        for arrays in (
            {"a": rows}, {"b": rows}, {"a": rows.astype(np.int32)}, {"a": rows.reshape(2, 3)}, {"a": rows[::-1]},
        )
    ]  # fmt: skip
    assert len(set(prints)) == 5
    assert fingerprint_of({"a": rows, "b": rows[1:]}) == fingerprint_of({"b": rows[1:], "a": rows.copy()})
