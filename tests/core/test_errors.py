from __future__ import annotations

import pytest

from tenfold.core.errors import InputError, Interrupted, SystemFault, TenfoldError, did_you_mean


def test_each_error_has_the_exit_status_that_is_documented() -> None:
    assert [kind.exit_status for kind in (TenfoldError, InputError, SystemFault, Interrupted)] == [
        1,
        2,
        3,
        130,
    ]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("mnits", " Did you mean 'mnist'?"),
        ("zebra", " Known: digits, mnist."),
        ("", " Known: digits, mnist."),
    ],
)
def test_a_near_miss_is_named_and_otherwise_all_there_is(typed: str, answer: str) -> None:
    assert did_you_mean(typed, {"mnist", "digits"}) == answer
