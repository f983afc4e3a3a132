from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import done

from tenfold.claims import claim_names, training
from tenfold.claims.engine import holds, make_claim
from tenfold.claims.tables import Figure, Results
from tenfold.core.errors import InputError
from tenfold.evaluation import Interval

NAMES = claim_names()


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_was_published_and_what_it_trains(name: str) -> None:
    claim = make_claim(name)
    text = claim.text
    assert text.sentence.endswith(".")
    assert text.source.endswith(".")
    said = list(text.they_say.values.values())
    assert text.they_say.effect == pytest.approx(abs(said[0] - said[1]))
    in_words = re.findall(r"[\d.]+(?= %| ->)", text.they_say.sentence)
    assert [float(percent) / 100 for percent in in_words] == pytest.approx(said)
    assert (text.seeds >= 3, text.quick_seeds >= 2) == (True, True)
    for quick in (False, True):
        json.dumps(claim.settings(quick), allow_nan=False)
        jobs = claim.jobs(range(3), quick)
        assert len({job.hash for job in jobs}) == len(jobs)
        assert all(job.cost > 0 and job.label and callable(job.load()) for job in jobs)
        assert all(needed in jobs for job in jobs for needed in job.needs.values())
    assert claim.jobs(range(3), True)[0].config != claim.jobs(range(3), False)[0].config


def test_an_unknown_claim_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'mixup'"):
        make_claim("mixpu")
    with pytest.raises(InputError, match="there is no claim"):
        make_claim("engine")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.02, "yes"),
        (0.001, 0.01, "smaller"),
        (0.02, 0.03, "yes"),  # a larger one
        (-0.001, 0.02, "not_shown"),
        (0.0, 0.02, "not_shown"),  # 0 itself is in the interval
        (-0.01, 0.0149, "not_shown"),  # just room for the claimed size
        (-0.01, 0.0148, "no"),
        (-0.0012, 0.0076, "no"),  # the earlier measurement of this claim
        (-0.01, 0.0, "no"),
        (-0.03, -0.01, "no"),
        (0.0, 0.0, "no"),  # no effect and no doubt
    ],
)
def test_whether_it_holds(low: float, high: float, verdict: str) -> None:
    assert holds(interval(low, high), 0.0149) == verdict


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.0001, 1))
def test_the_verdict_is_what_the_rule_says(low: float, width: float, claimed: float) -> None:
    measured = interval(low, low + width)
    verdict = holds(measured, claimed)
    assert (verdict in ("yes", "smaller")) == (measured.low > 0)
    assert (verdict in ("smaller", "no")) == (measured.high < claimed)
    assert (verdict == "not_shown") == (measured.low <= 0 < claimed <= measured.high)


@pytest.mark.parametrize(
    ("low", "high", "claimed"), [(0, 1, 0), (0, 1, -1), (0, float("nan"), 1), (0, float("inf"), 1)]
)
def test_what_cannot_be_judged_is_refused(low: float, high: float, claimed: float) -> None:
    with pytest.raises(ValueError, match="gain above 0"):
        holds(interval(low, high), claimed)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_packing_loses_nothing(bits: list[bool]) -> None:
    assert training.unpacked(training.packed(np.array(bits)), len(bits)).tolist() == bits


def test_results_are_picked_by_their_configuration() -> None:
    configs = [{"arm": arm, "seed": seed, "count": 5} for seed in (1, 0) for arm in ("a", "b")]
    correct = [np.array([True, False, seed["arm"] == "b"]) for seed in configs]
    result = Results(done(config, training.tested(right)) for config, right in zip(configs, correct, strict=True))
    assert [one.job.config["seed"] for one in result.of(arm="a", count=5)] == [0, 1]
    assert result.settings("count") == [5]
    assert not result.of(arm="c")
    few, gains = make_claim("mixup").text.of_arms(result, "count", "{} of", ("a", "b"), [("b", "a")])
    assert [cell and cell.estimate for cell in few.rows["5 of"]] == pytest.approx([1 / 3, 2 / 3])
    assert gains.rows["5 of"][0] == Figure(pytest.approx(1 / 3), *[pytest.approx(1 / 3)] * 2, (1 / 3, 1 / 3))
    assert gains.columns == ("b − a",)
