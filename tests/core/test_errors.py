from __future__ import annotations

import pytest

from tenfold.core.errors import did_you_mean


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("mnits", " Did you mean 'mnist'?"), ("zebra", " Known: digits, mnist."), ("", " Known: digits, mnist.")],
)
def test_a_near_miss_is_named_and_otherwise_all_there_is(typed: str, answer: str) -> None:
    assert did_you_mean(typed, {"mnist", "digits"}) == answer
