import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.evaluation import (
    ArmResult,
    Calibration,
    CurvePoint,
    ExternalComparison,
    ImagesFor,
    Interval,
    LogLoss,
    Look,
    Verdict,
    Wins,
    Worth,
)
from tenfold.evaluation.serialise import mean_estimate, verdict_json
from tenfold.evaluation.wording import (
    CHOSEN_ARM,
    added_images,
    answer,
    p_words,
    ratio_words,
    sentence,
)
from tenfold.evaluation.worth_wording import images_for_sentence, worth_sentence


def about(estimate, half=0.02):
    return Interval(estimate, estimate - half, estimate + half, half / 2)


SHARES = (about(0.9), None, about(0.7), about(0.8))
CURVE = (CurvePoint("classical@50%", 140.0, about(0.7)), CurvePoint("classical", 280.0, about(0.8)))


def an_arm(name, difference=0.03, **changes):
    values = {
        "balanced_accuracy": about(0.8),
        "against_baseline": difference and about(difference),
        "outcome": difference and "not_proven",
        "recall": SHARES,
        "external_accuracy": None,
        "seconds": 1.0,
        "specificity": SHARES,
    }
    return ArmResult(name, **(values | changes))


def a_verdict(worth=None, extra=280.0, ratios=(), **changes):
    values = {
        "outcome": "helped",
        "chosen_arm": "gan",
        "baseline": "classical",
        "difference": about(0.03),
        "smallest_detectable": 0.04,
        "margin": 0.01,
        "repeats": 4,
        "folds": 5,
        "images": 350,
        "groups": 350,
        "arms": (
            an_arm("classical", None),
            an_arm("gan", worth=worth, extra_images=extra, ratios=dict(ratios)),
            an_arm("mixup", worth=worth),
        ),
        "pick_counts": {"gan": 20},
        "p_value": 0.0001234567,
        "probability_of_gain": 0.99991,
        "probability_above_margin": 0.97,
        "wins": Wins(9, 5, 6),
        "curve": CURVE,
        "worth": worth,
    }
    return Verdict(**(values | changes))


WORTHS = {
    Worth(23, 14, 32): "worth 23 real ones (14 to 32): about 8 more real images a class would give the same.",
    Worth(2.04, 1, 3): "worth 2 real ones (1 to 3): about 1 more real image a class would give the same.",
    Worth(1, 0.4, 2): "worth 1 real one (0.4 to 2): less than one more real image a class would give the same.",
    Worth(0.01, -5, 5): "worth no real ones (between 5 fewer and 5 more).",
    Worth(8, -5, 20): "worth 8 real ones (between 5 fewer and 20 more).",
    Worth(8, -5, math.inf): "worth 8 real ones (between 5 fewer and more than the learning curve can tell).",
    Worth(8, -math.inf, 20): "worth 8 real ones (between fewer than the learning curve can tell and 20 more).",
    Worth(23, 14, math.inf): "worth 23 real ones (at least 14, and perhaps more than the learning curve can tell): "
    "about 8 more real images a class would give the same.",
    Worth(math.inf, 14, math.inf): "worth at least 14 real ones, and more than the learning curve can tell.",
    Worth(math.inf, math.inf, math.inf): "worth more real ones than the learning curve can tell.",
}


NEEDED = {
    ImagesFor(0.95, 2.2, 1.5, 7.0): "classical would reach 95 % with about 420 more like these (180 to 2,100).",
    ImagesFor(0.95, 2.2, 1.0, math.inf): "classical would reach 95 % with about 420 more like these (0 or more).",
    ImagesFor(0.95, math.inf, 12.0, math.inf): "classical is not likely to reach 95 % within 100 times as many, and "
    "takes at least 3,800 more for it.",
    ImagesFor(0.95, math.inf, math.inf, math.inf): "classical does not reach 95 % within 100 times as many.",
    ImagesFor(0.95, math.nan, math.nan, math.nan): "How many classical needs for 95 % cannot be told: more were not "
    "shown to help it.",
}


@pytest.mark.parametrize("needed", NEEDED)
def test_images_for_an_accuracy_are_told_and_none_is_nan_or_infinite_in_json(needed):
    one = a_verdict(images_for=(needed,))
    assert images_for_sentence(one) == NEEDED[needed]
    (told,) = verdict_json(one)["images_for"]
    known = "unknown" if math.isnan(needed.times) else "beyond" if math.isinf(needed.times) else "known"
    assert (told["answer"], told["balanced_accuracy"]) == (known, 0.95)
    for name, times in (("more_images", needed.times), ("low", needed.low), ("high", needed.high)):
        assert told[name] == (pytest.approx(350 * (times - 1)) if math.isfinite(times) else None)
    assert images_for_sentence(a_verdict()) is None


@pytest.mark.parametrize("worth", WORTHS)
def test_worth_of_added_images(worth):
    unsure = worth.low <= 0 <= worth.high and "no real" not in WORTHS[worth]
    were, was = ("may have been", "may have been") if unsure else ("were", "was")
    assert worth_sentence(a_verdict(worth)) == f"Its 280 added images {were} {WORTHS[worth]}"
    assert worth_sentence(a_verdict(worth), "gan") == f"gan: its 280 added images {were} {WORTHS[worth]}"
    alone = WORTHS[worth].replace("real one ", "real image ").replace("real ones", "real images")
    assert worth_sentence(a_verdict(worth, extra=0), CHOSEN_ARM) == f"It {was} {alone}"
    assert worth_sentence(a_verdict(worth), "mixup") == f"mixup {was} {alone}"


COSTS = {
    Worth(-12, -20, -5): "12 fewer real images would (5 to 20).",
    Worth(-1234, -3000, -5): "1,234 fewer real images would (5 to 3,000).",
    Worth(-12, -20, 5): "12 fewer real images would (between 20 fewer and 5 more).",
    Worth(-12, -math.inf, -5): "12 fewer real images would (at least 5, and perhaps more than the "
    "learning curve can tell).",
    Worth(-math.inf, -math.inf, -5): "at least 5 fewer real images, or more than the learning curve can tell, would.",
}


@pytest.mark.parametrize("worth", COSTS)
def test_worth_below_nothing_is_a_cost(worth):
    cost = "may have cost" if worth.high >= 0 else "cost"
    assert worth_sentence(a_verdict(worth)) == f"Its 280 added images {cost} as much as {COSTS[worth]}"
    assert worth_sentence(a_verdict(worth), "mixup") == f"mixup {cost} as much as {COSTS[worth]}"


def test_worth_below_all_that_the_curve_tells():
    worth = Worth(-math.inf, -math.inf, -math.inf)
    assert (
        worth_sentence(a_verdict(worth), "mixup") == "mixup cost more real images than the learning curve can tell."
    )


def test_worth_that_cannot_be_told():
    flat = "worth in real images cannot be told: the learning curve is too flat for it."
    for worth in (Worth(math.inf, -3, math.inf), Worth(-math.inf, -math.inf, 3), Worth(math.nan, math.nan, math.nan)):
        assert worth_sentence(a_verdict(worth)) == f"Its {flat}"
    assert worth_sentence(a_verdict(Worth(math.inf, -3, math.inf)), "mixup") == f"mixup: its {flat}"
    none = "Its worth in real images cannot be told: more real images were not shown to help either."
    assert worth_sentence(a_verdict(None)) == none


def test_worth_is_not_told_where_nobody_asked_or_nothing_differs():
    assert worth_sentence(a_verdict(None, curve=())) is None
    assert worth_sentence(a_verdict(Worth(1, 0, 2)), "classical") is None
    kept = a_verdict(Worth(0, 0, 0), chosen_arm="classical", pick_counts={"classical": 20})
    assert worth_sentence(kept) is None
    assert worth_sentence(kept, "mixup") is not None


def test_a_choice_that_differs_from_fold_to_fold_is_not_said_to_be_one_arm():
    mixed = a_verdict(Worth(23, 14, 32), pick_counts={"gan": 15, "classical": 5})
    assert worth_sentence(mixed).startswith("What was chosen in each fold was worth 23 real images (14 to 32): ")
    assert added_images(mixed) == pytest.approx(0.75 * 280)
    chosen = a_verdict(Worth(23, 14, 32), ratios={"0": 1, "2": 3})
    assert worth_sentence(chosen).startswith("Its 280 added images (mean of the folds) were worth 23 real ones")


bounds = st.one_of(st.floats(-1e4, 1e4), st.just(math.inf), st.just(-math.inf))


@given(st.lists(bounds, min_size=3, max_size=3).map(sorted), st.sampled_from([0.0, 0.4, 12.0]))
def test_every_worth_is_one_clean_sentence(values, extra):
    low, middle, high = values
    verdict = a_verdict(Worth(middle, low, high), extra=extra)
    for name in (CHOSEN_ARM, "gan", "mixup"):
        result = worth_sentence(verdict, name)
        assert result.endswith(".")
        assert result.count("(") == result.count(")") <= 2
        assert not re.search(r"inf|nan|--|  |-\d|\( ", result)
    json.dumps(verdict_json(verdict), allow_nan=False)


def test_ratios_in_words():
    assert ratio_words({"0": 12, "2": 8}) == "no new images in 12 of 20 folds, 2 for each real one in 8"
    assert ratio_words({"2": 3, "1": 7}) == "1 new for each real one in 7 of 10 folds, 2 for each real one in 3"
    assert ratio_words({"0.5": 20}) == "0.5 new for each real one in all 20 folds"


def test_p_values_in_words():
    values = (0.0004, 0.00996, 0.0496, 0.0944, 0.149, 1.0, None)
    expected = ("p < 0.001", "p = 0.010", "p = 0.050", "p = 0.094", "p = 0.15", "p = 1.00", "p = ?")
    assert tuple(map(p_words, values)) == expected


def test_a_study_that_a_planned_look_ended_is_not_provisional():
    short = a_verdict(repeats=2)
    assert "2 repeats of 5 folds, provisional)" in sentence(short)
    assert verdict_json(short)["provisional"] is True
    ended = a_verdict(repeats=2, interim_looks=(Look(2, 0.0001, True),))
    assert "2 repeats of 5 folds, ended early as planned)" in sentence(ended)
    assert verdict_json(ended)["provisional"] is False
    assert verdict_json(ended)["looks"] == [{"repeats": 2, "p_value": 0.0001, "stopped": True}]


def test_json_tells_all_of_it():
    gan = an_arm(
        "gan",
        calibration=Calibration(0.03, 0.02),
        extra_images=280.0,
        ratios={"0": 12, "2": 8},
        worth=Worth(23.0, 14.0, math.inf),
        diagnostics={"kid": 0.0000123456, "precision": math.nan},
    )
    document = verdict_json(
        a_verdict(
            arms=(an_arm("classical", None), gan),
            worth=Worth(math.inf, 14.0, math.inf),
            external=ExternalComparison(796, 700, 20, about(0.9), about(0.88), about(0.02), 31.25, 15, 0.02),
            log_loss=LogLoss(about(0.05), 0.004),
        )
    )
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["p_value"] == 0.0001235
    assert (document["probability_of_gain"], document["probability_above_margin"]) == (0.9999, 0.97)
    assert document["log_loss"] == {"gain": 0.05, "interval": [0.03, 0.07], "p_value": 0.004}
    assert document["wins"] == {"won": 9, "tied": 5, "lost": 6, "probability": 0.575}
    assert document["curve"][0] == {
        "arm": "classical@50%",
        "images": 140.0,
        "balanced_accuracy": 0.7,
        "interval": [0.68, 0.72],
    }
    unknown = {"real_images": None, "low": 14.0, "high": None, "new_images": 280.0, "per_class": None}
    assert document["worth"] == unknown
    assert document["worth_sentence"].startswith(
        "Its 280 added images (mean of the folds) were worth at least 14 real"
    )
    assert document["external"] == {
        "images": 796,
        "groups": 700,
        "trainings": 20,
        "pick_accuracy": 0.9,
        "pick_interval": [0.88, 0.92],
        "baseline_accuracy": 0.88,
        "baseline_interval": [0.86, 0.9],
        "difference_points": 2.0,
        "interval_points": [0.0, 4.0],
        "only_pick": 31.25,
        "only_baseline": 15,
        "p_value": 0.02,
    }
    arm = document["arms"]["gan"]
    assert arm["worth"] == unknown | {"real_images": 23.0, "per_class": round(23 / 3, 4)}
    assert arm["specificity"] == [0.9, None, 0.7, 0.8]
    assert arm["specificity_intervals"][0] == [0.88, 0.92]
    assert arm["macro_sensitivity"] == arm["balanced_accuracy"]
    assert arm["macro_specificity"] == 0.8
    assert arm["calibration"] == {"error": 0.03, "by_chance": 0.02}
    assert arm["ratios"] == {"0": 12, "2": 8}
    assert arm["diagnostics"] == {"kid": 0.00001235, "precision": None}


def test_json_of_a_study_without_the_rest():
    bare = verdict_json(a_verdict(curve=(), p_value=math.nan, arms=(an_arm("classical", None), an_arm("gan"))))
    for nothing in ("worth", "worth_sentence", "external", "p_value"):
        assert bare[nothing] is None
    assert bare["curve"] == bare["looks"] == []
    assert bare["arms"]["gan"]["calibration"] is None


@pytest.mark.parametrize(
    "outcome", ["helped", "promising", "hurt", "no_practical_difference", "nothing_preferred", "not_proven"]
)
@pytest.mark.parametrize("arm", ["gan", "classical(policy=standard,flips=no)+mixup(strength=0.4)"])
def test_the_answer_takes_twelve_words_at_most_and_no_statistics(outcome, arm):
    told = answer(a_verdict(outcome=outcome, chosen_arm=arm, pick_counts={arm: 20}))
    assert len(told.split()) <= 12
    assert not any(word in told for word in ("interval", "p =", "points", "arm ", "significant"))


def test_more_labelled_images_are_advised_only_where_the_curve_still_rises():
    open_question = a_verdict(outcome="not_proven")
    assert answer(open_question) == "gan was not shown to help; more labelled images would."
    assert answer(replace(open_question, curve=())) == "gan was not shown to help."
    flat = tuple(replace(point, balanced_accuracy=about(0.8)) for point in CURVE)
    assert answer(replace(open_question, curve=flat)) == "gan was not shown to help."


def test_mean_over_the_classes_that_can_be_evaluated():
    assert mean_estimate(SHARES) == pytest.approx(0.8)
    assert mean_estimate((None, Interval(math.nan, 0, 1, 0))) is None
    assert mean_estimate(()) is None


def test_a_verdict_answers_to_the_names_that_its_attributes_had() -> None:
    verdict = a_verdict(Worth(0, 0, 0))
    with pytest.warns(DeprecationWarning, match="'pick' is now called 'chosen_arm'"):
        assert verdict.pick == verdict.chosen_arm == "gan"
    with pytest.warns(DeprecationWarning, match="'settled' is now called 'selected_hyperparameters'"):
        assert verdict.arms[0].settled == {}
