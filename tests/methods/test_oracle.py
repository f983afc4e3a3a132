from __future__ import annotations

import pytest

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.methods import make_method

TRAIN, RESERVE = easy_set([3, 3]), easy_set([10, 10], key="reserve")


@pytest.mark.parametrize(("times", "count"), [(1, 6), (2, 12), (50, 20)])
def test_it_gives_real_images_of_the_reserve_as_far_as_that_goes(times: float, count: int) -> None:
    extra = make_method("oracle", {"times": times}).fit(TRAIN, RESERVE, Key("one")).extra
    assert extra is not None
    given = [image.tobytes() for image in extra.images]
    assert len(set(given)) == len(given) == count
    assert set(given) <= {image.tobytes() for image in RESERVE.images}


@pytest.mark.parametrize("reserve", [None, RESERVE.take([])])
def test_without_a_reserve_it_says_what_is_missing(reserve: object) -> None:
    with pytest.raises(InputError, match="needs more real images than the study uses"):
        make_method("oracle").fit(TRAIN, reserve, Key("one"))
