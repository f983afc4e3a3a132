import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_studies import noise_study, trials_of

from tenfold.core.errors import TenfoldError
from tenfold.core.keys import Key
from tenfold.evaluation.compare import Design, External, compare, primary_p_value, sentence, verdict_json
from tenfold.evaluation.wording import answer, start_sentence


def judge(trials, labels, **changes):
    rules = {
        "groups": np.arange(len(labels)),
        "class_names": ["cat", "dog", "eel"][: labels.max() + 1],
        "baseline": "classical",
        "candidates": {trial.arm for trial in trials},
        "evaluated": range(labels.max() + 1),
        "folds": 1 + max(trial.fold for trial in trials),
    } | changes
    result = {name: rules.pop(name) for name in ("external", "looks") if name in rules}
    return compare(trials, Design(labels, **rules), **result)


def arm(verdict, name):
    return next(result for result in verdict.arms if result.name == name)


LABELS = np.arange(40) % 2


def shares(right, n=40, repeats=4, offset=0):
    """N x R correctness: `right` of the images are right in every repeat."""
    return np.repeat(((np.arange(n) + offset) % n < right)[:, None], repeats, axis=1)


def test_controls_are_compared_but_never_picked():
    base = trials_of("classical", shares(30), LABELS, validation=0.5)
    oracle = trials_of("oracle", shares(40), LABELS, validation=0.9)
    verdict = judge(base + oracle, LABELS, candidates=["classical"])
    assert verdict.pick_counts == {"classical": 4 * 2}
    assert verdict.outcome == "nothing_preferred"
    assert arm(verdict, "oracle").outcome == "helped"
    assert sentence(verdict).startswith("Nothing to choose between: no arm but classical")


@pytest.mark.parametrize(
    ("right", "outcome"),
    [(40, "helped"), (10, "hurt"), (31, "not_proven")],
)
def test_outcomes_that_show_a_difference_or_cannot(right, outcome):
    base = trials_of("classical", shares(30), LABELS, validation=0.5)
    grown = trials_of("gan", shares(right), LABELS, validation=0.9)
    verdict = judge(base + grown, LABELS)
    assert verdict.outcome == outcome
    assert verdict.chosen_arm == "gan"
    assert verdict.difference.estimate == pytest.approx((right - 30) / 40)
    assert arm(verdict, "gan").outcome == outcome


@pytest.mark.parametrize(("n", "outcome"), [(40, "nothing_preferred"), (400, "no_practical_difference")])
def test_two_that_never_differed_are_as_equal_as_there_are_images_to_say_so(n, outcome):
    labels = np.arange(n) % 2
    base = trials_of("classical", shares(30, n=n), labels, validation=0.5)
    verdict = judge(base + trials_of("gan", shares(30, n=n), labels, validation=0.9), labels)
    assert (verdict.difference.low, verdict.difference.high) == pytest.approx((-3 / n, 3 / n))
    assert verdict.outcome == outcome
    assert arm(verdict, "gan").outcome == ("not_proven" if n == 40 else outcome)


def test_below_the_margin_nothing_helped_however_sure():
    base = trials_of("classical", shares(30), LABELS)
    grown = trials_of("gan", shares(40), LABELS, validation=0.9)
    verdict = judge(base + grown, LABELS, margin=0.3)
    assert verdict.difference.low > 0
    assert verdict.outcome == "not_proven"


def test_difference_of_unequal_classes_groups_and_an_untested_class_against_loops():
    draw = Key("loops").numpy_generator()
    labels = np.array([0] * 20 + [1] * 6 + [2])
    groups = np.array([*range(10), *range(10), 30, 30, 30, 31, 32, 33, 3])
    before, after = draw.random((27, 3)) < 0.5, draw.random((27, 3)) < 0.8
    tested = trials_of("classical", before, labels) + trials_of("gan", after, labels, validation=0.9)
    trials = [  # image 26, the only one of its class, is always trained on
        replace(t, test_indices=t.test_indices[:-1], test_probabilities=t.test_probabilities[:-1])
        if 26 in t.test_indices
        else t
        for t in tested
    ]
    verdict = judge(trials, labels, groups=groups, evaluated=[0, 1])
    change = after.astype(float) - before
    expected = [np.mean([change[labels == k, r].mean() for k in (0, 1)]) for r in range(3)]
    assert verdict.difference.estimate == pytest.approx(np.mean(expected))
    assert (verdict.groups, verdict.images, verdict.repeats) == (14, 26, 3)
    assert arm(verdict, "gan").recall[2] is None
    assert arm(verdict, "gan").recall[1].estimate == pytest.approx(after[20:26].mean())
    assert any("'eel' cannot be evaluated" in warning for warning in verdict.warnings)


def test_only_repeats_that_every_arm_finished_count():
    base = trials_of("classical", shares(30), LABELS)
    grown = trials_of("gan", shares(40), LABELS, validation=0.9)
    verdict = judge(base + grown[:-1], LABELS)
    assert (verdict.repeats, verdict.provisional) == (3, True)
    assert any("1 of 4 repeats" in warning for warning in verdict.warnings)
    assert any(warning.startswith("Provisional: 3") for warning in verdict.warnings)
    with pytest.raises(TenfoldError, match="no repeat has all 2 folds"):
        judge(base + grown[:1], LABELS)


def test_a_failed_arm_is_told_and_left_out():
    base = trials_of("classical", shares(30), LABELS)
    grown = trials_of("gan", shares(40), LABELS, validation=0.9)
    grown[3] = replace(grown[3], failed="the generator collapsed", test_indices=[], test_probabilities=[])
    verdict = judge(base + grown, LABELS)
    result = arm(verdict, "gan")
    assert (result.failed_trials, result.failure) == (1, "the generator collapsed")
    assert result.balanced_accuracy is result.against_baseline is result.outcome is None
    assert verdict.pick_counts == {"classical": 8}
    assert verdict_json(verdict)["arms"]["gan"]["verdict"] == "failed"
    with pytest.raises(TenfoldError, match=r"baseline 'gan' failed.*collapsed"):
        judge(base + grown, LABELS, baseline="gan")


def test_what_cannot_be_judged_is_refused():
    base = trials_of("classical", shares(30), LABELS)
    with pytest.raises(TenfoldError, match="no trials"):
        judge(base, LABELS, baseline="raw")
    with pytest.raises(TenfoldError, match="two trials"):
        judge(base + base, LABELS)
    with pytest.raises(TenfoldError, match="1 independent group"):
        judge(base, LABELS, groups=np.zeros(40, dtype=np.int64))
    twice = replace(base[0], test_indices=base[1].test_indices)
    with pytest.raises(TenfoldError, match="40 images are not tested exactly once"):
        judge([twice, *base[1:]], LABELS)


EXTERNAL = External(np.array([0, 0, 0, 1]), np.arange(4))


def test_external_accuracy_is_the_mean_over_trials():
    base = trials_of("classical", shares(30), LABELS)
    seen = [replace(t, external_predictions=[0, 0, 1, t.fold]) for t in base]
    verdict = judge(seen, LABELS, external=EXTERNAL)
    assert arm(verdict, "classical").external_accuracy == pytest.approx((2 / 3 + 0 + 2 / 3 + 1) / 4)
    assert arm(judge(base, LABELS), "classical").external_accuracy is None


def test_more_images_not_more_runs():
    base = trials_of("classical", shares(20), LABELS)
    grown = trials_of("gan", shares(30, offset=5), LABELS, validation=0.9)
    assert any("more images, not more runs" in warning for warning in judge(base + grown, LABELS).warnings)
    draw = Key("noise").numpy_generator()
    noise = [draw.random((40, 4)) < 0.5 for _ in range(2)]
    trials = trials_of("classical", noise[0], LABELS) + trials_of("gan", noise[1], LABELS, validation=0.9)
    assert not any("more images" in warning for warning in judge(trials, LABELS).warnings)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_json_is_plain_and_finite_and_the_sentence_holds_the_estimate(seed, repeats):
    draw = (Key("json") / seed).numpy_generator()
    labels = np.arange(12) % 3
    trials = [
        trial
        for name in ("classical", "gan", "mixup")
        for trial in trials_of(name, draw.random((12, repeats)) < 0.6, labels, validation=draw.random((repeats, 2)))
    ]
    verdict = judge(trials, labels)
    document = verdict_json(verdict)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["estimate_points"] == pytest.approx(100 * verdict.difference.estimate, abs=1e-4)
    assert document["interval_points"][0] <= document["estimate_points"] <= document["interval_points"][1]
    assert set(document["arms"]) == {"classical", "gan", "mixup"}
    for result in document["arms"].values():
        assert 0 <= result["interval"][0] <= result["balanced_accuracy"] <= result["interval"][1] <= 1
        assert result["seconds"] == 1.5 * 2 * repeats
    size = f"{100 * abs(verdict.difference.estimate):.1f} points"
    assert any(words in sentence(verdict) for words in (size, "as good as"))
    assert len(document["answer"].split()) <= 12
    assert 0 <= document["probability_above_margin"] <= document["probability_of_gain"] <= 1


def test_renaming_groups_and_swapping_arms_mirror_the_verdict():
    trials, labels = noise_study(Key("mirror"), ["classical", "gan"], n=60, repeats=3)
    trials = [replace(t, inner_score=0.9 if t.arm == "gan" else 0.5) for t in trials]
    verdict = judge(trials, labels)
    renamed = judge(trials, labels, groups=np.arange(60)[::-1] * 7)
    assert renamed.difference.low == pytest.approx(verdict.difference.low)
    swap = {"classical": "gan", "gan": "classical"}
    swapped = judge([replace(t, arm=swap[t.arm], inner_score=1 - t.inner_score) for t in trials], labels)
    assert swapped.difference.estimate == pytest.approx(-verdict.difference.estimate)
    assert swapped.difference.low == pytest.approx(-verdict.difference.high)


def test_noise_is_seldom_called_help(monkeypatch):
    """200 studies of four equal arms: 'helped' at most 5 %, give or take three Monte Carlo errors."""
    monkeypatch.setattr("tenfold.evaluation.compare.calibration", lambda *_: None)  # slow, and not asked about here
    arms, studies, helped = ["classical", "a", "b", "c"], 200, 0
    for study in range(studies):
        trials, labels = noise_study(Key("null") / study, arms, n=100)
        helped += judge(trials, labels).outcome == "helped"
    assert helped / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5


def test_sentences():
    base = trials_of("classical", shares(30), LABELS)

    def sentence_of(right, validation=0.9, margin=0.01):
        grown = trials_of("gan", shares(right), LABELS, validation=validation)
        return sentence(judge(base + grown, LABELS, margin=margin))

    assert sentence_of(40).startswith(
        "Growing helped: gan is 25.0 points better than classical alone (95 % interval +10.8"
    )
    assert sentence_of(40).endswith("; 40 images, 4 repeats of 2 folds).")
    assert sentence_of(10).startswith("Growing hurt: gan is 50.0 points worse than classical alone")
    equal = sentence_of(30, margin=0.1)
    assert equal.startswith("No practical difference: gan is as good as classical alone, within 10 points (")
    assert sentence_of(31).startswith("Not proven: gan is 2.5 points better than classical alone (")
    assert "a gain above 10.0 points is ruled out, one of 10.7 is found in four such studies" in sentence_of(31)
    assert "(most often" not in sentence_of(40)


def test_wins_are_counted_fold_by_fold():
    labels = np.arange(8) % 2
    base = np.array([[1], [1], [1], [1], [0], [0], [0], [0]])
    pick = np.array([[1], [0], [1], [1], [1], [0], [1], [0]])  # image i is in fold i % 4
    trials = trials_of("classical", base, labels, folds=4) + trials_of("gan", pick, labels, folds=4, validation=0.9)
    wins = judge(trials, labels).wins  # a single repeat: its own trainings judge
    assert (wins.won, wins.tied, wins.lost) == (2, 1, 1)
    assert wins.probability == 0.625


def test_a_single_repeat_is_promising_at_most():
    base, grown = (
        trials_of("classical", shares(30, repeats=1), LABELS),
        trials_of("gan", shares(40, repeats=1), LABELS),
    )
    verdict = judge(base + grown, LABELS)
    assert verdict.outcome == arm(verdict, "gan").outcome == "promising"
    assert any("first look" in warning for warning in verdict.warnings)
    worse = judge([replace(t, arm={"classical": "gan", "gan": "classical"}[t.arm]) for t in base + grown], LABELS)
    assert worse.outcome == "nothing_preferred"
    assert worse.difference.high < 0


def test_nothing_is_preferred_where_no_arm_did_better_in_any_fold():
    trials = trials_of("classical", shares(31), LABELS) + trials_of("gan", shares(30), LABELS)
    verdict = judge(trials, LABELS)
    assert verdict.outcome == "nothing_preferred"
    assert verdict.chosen_arm == "gan"
    assert verdict.difference.estimate == pytest.approx(-1 / 40)
    assert verdict.difference.low < verdict.difference.estimate < verdict.difference.high


def test_the_p_value_is_that_of_the_primary_comparison_and_fits_its_interval():
    for right in (30, 31, 34, 36, 40):
        trials = trials_of("classical", shares(30), LABELS) + trials_of("gan", shares(right), LABELS, validation=0.9)
        verdict = judge(trials, LABELS)
        outside = verdict.difference.low > 0 or verdict.difference.high < 0
        assert (verdict.p_value < 0.05) == outside
        design = Design(LABELS, np.arange(40), ["cat", "dog"], [0, 1], 2, "classical", ["gan"])
        assert primary_p_value(trials, design) == verdict.p_value


def curve_trials(n=200, repeats=4):
    """The baseline gets 80, 86 and 90 % right with 50, 70 and 100 images; gan gets 92 %."""
    labels = np.arange(n) % 2
    sizes = {"classical": 100, "classical@50%": 50, "classical@70%": 70, "oracle": 300, "gan": 100}
    right = {"classical": 0.9, "classical@50%": 0.8, "classical@70%": 0.86, "oracle": 0.97, "gan": 0.93}
    trials = []
    for name, images in sizes.items():
        details = {"real_images": min(images, 100), "extra_images": max(0, images - 100) or 200 * (name == "gan")}
        correct = shares(int(right[name] * n), n=n, repeats=repeats)
        trials += trials_of(name, correct, labels, validation=0.9 if name == "gan" else 0.5, details=details)
    return trials, labels


def test_a_learning_curve_is_read_but_not_judged():
    trials, labels = curve_trials()
    curve = ["classical@50%", "classical@70%"]
    verdict = judge(trials, labels, candidates=["gan"], curve=curve, more_real=["oracle"])
    assert {result.name for result in verdict.arms} == {"classical", "oracle", "gan"}
    assert [(point.arm, point.images) for point in verdict.curve] == [
        ("classical@50%", 50), ("classical@70%", 70), ("classical", 100), ("oracle", 300)
    ]  # fmt: skip
    assert [point.balanced_accuracy.estimate for point in verdict.curve] == pytest.approx([0.8, 0.86, 0.9, 0.97])
    assert 0 < verdict.worth.real_images < 100
    assert verdict.worth == arm(verdict, "gan").worth
    assert arm(verdict, "gan").extra_images == 200
    (needed,) = verdict.images_for
    assert needed.balanced_accuracy == 0.95, "the nearest above 90 % is the usual one"
    assert 1 < needed.low < needed.times < 3, "300 reach 97 %"
    without = judge(trials, labels, candidates=["gan"])
    assert (without.worth, without.images_for) == (None, ())


def test_what_trials_tell_of_new_images_is_summed_up():
    def details_of(ratio, figures):
        return {"ratio": ratio, "extra_images": 100 * ratio, "diagnostics": figures}

    base = trials_of("classical", shares(30, repeats=1), LABELS)
    first, second = trials_of("gan", shares(31, repeats=1), LABELS, validation=0.9)
    grown = [
        replace(first, details=details_of(0.0, {"kid": 0.1, "recall": 0.5})),
        replace(second, details=details_of(2.0, {"kid": 0.3})),
    ]
    result = arm(judge(base + grown, LABELS), "gan")
    assert result.ratios == {"0": 1, "2": 1}
    assert result.extra_images == 100
    assert result.diagnostics == {"kid": pytest.approx(0.2)}, "a figure that a fold lacks has no mean"

    filtered = [
        replace(first, details={**details_of(1.0, {}), "drawn": 30, "wrong_label": 6, "near_copies": 3}),
        replace(second, details={**details_of(1.0, {}), "drawn": 10, "wrong_label": 0, "near_copies": 1}),
    ]
    result = arm(judge(base + filtered, LABELS), "gan")
    assert result.diagnostics == {"drawn": 40, "rejected_wrong_label": 0.15, "rejected_near_copies": 0.1}


def test_the_external_test_compares_the_trainings_of_the_chosen_arm_and_the_baseline():
    base = [replace(t, external_predictions=[0, 1, 1, t.fold]) for t in trials_of("classical", shares(30), LABELS)]
    grown = [replace(t, external_predictions=[0, 0, 1, 1]) for t in trials_of("gan", shares(31), LABELS)]
    external = judge(base + grown, LABELS, external=EXTERNAL).external
    assert (external.images, external.trainings) == (4, 8)
    assert (external.only_pick, external.only_baseline) == (1.5, 0)
    assert external.difference.estimate == pytest.approx(1.5 / 4)
    assert judge(base + grown, LABELS).external is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.02, 0.1, 0.3]), st.integers(1, 3))
def test_the_headline_never_contradicts_the_table(seed, repeats, gain, arms):
    draw = (Key("coherent") / seed).numpy_generator()
    labels = np.arange(60) % 2
    easy = draw.random((60, 1))
    trials = trials_of("classical", easy + draw.normal(0, 0.1, (60, repeats)) < 0.7, labels, folds=3)
    for number in range(arms):
        right = easy + draw.normal(0, 0.1, (60, repeats)) < 0.7 + draw.normal(gain / 2, gain)
        trials += trials_of(f"arm {number}", right, labels, folds=3)
    verdict = judge(trials, labels)
    for good in ("helped", "promising"):
        rows = {result.name for result in verdict.arms if result.outcome == good}
        assert (verdict.outcome == good) == bool(rows)
        assert not rows or verdict.chosen_arm in rows
    if verdict.outcome == "hurt":
        assert not any(result.outcome == "helped" for result in verdict.arms)
    assert (verdict.outcome == "promising") <= (repeats == 1)


def test_another_start_that_is_better_is_no_growing_that_helped():
    base, probe = trials_of("classical", shares(30), LABELS), trials_of("probe", shares(40), LABELS)
    mixed = trials_of("mixup", shares(30, offset=1), LABELS)
    verdict = judge(base + probe + mixed, LABELS, candidates=["classical", "mixup"], starts=["probe"])
    assert verdict.chosen_arm == "mixup"
    assert verdict.outcome in ("not_proven", "nothing_preferred")
    assert (verdict.start.name, verdict.start.outcome) == ("probe", "better")
    assert arm(verdict, "probe").outcome == "better"
    assert verdict.start.difference.estimate == pytest.approx(0.25)
    assert verdict.best_supported == "probe"
    assert start_sentence(verdict).startswith("probe is a better start: 25.0 points better than classical alone (")
    assert verdict_json(verdict)["start"]["verdict"] == "better"
    swapped = judge(base + probe, LABELS, baseline="probe", candidates=["probe"], starts=["classical"])
    assert (swapped.start.outcome, swapped.best_supported) == ("worse", "probe")
    assert start_sentence(swapped).startswith("No other start was shown to be better: classical is 25.0 points worse")
    grown_on_it = judge(
        base + probe, LABELS, baseline="probe", candidates=["probe"], starts=["classical"], reference="classical"
    )
    told = start_sentence(grown_on_it)
    assert told.startswith("probe is a better start: 25.0 points better than classical alone (")
    assert "--baseline" not in told, "it is the baseline already"
    assert (arm(grown_on_it, "classical").outcome, grown_on_it.best_supported) == ("worse", "probe")
    alone = judge(base + probe, LABELS, candidates=["classical"], starts=["probe"])
    assert answer(alone) == "probe is a better start; nothing was grown."


def test_what_grows_on_another_start_is_compared_with_it_too():
    base, probe = trials_of("classical", shares(30), LABELS), trials_of("probe", shares(36), LABELS)
    trials = base + probe + trials_of("probe+gan", shares(40), LABELS)
    own = {"probe+gan": "probe", "gone": "probe"}
    verdict = judge(trials, LABELS, candidates=["classical"], starts=["probe", "probe+gan"], grown_on=own)
    grown = arm(verdict, "probe+gan")
    assert (grown.start, grown.against_start.estimate) == ("probe", pytest.approx(0.1))
    assert grown.against_start.low > 0
    assert (arm(verdict, "probe").start, arm(verdict, "probe").against_start) == (None, None)
    assert "probe+gan is 10.0 points better than probe alone (95 % interval +" in start_sentence(verdict)
    told = verdict_json(verdict)["arms"]["probe+gan"]
    assert (told["start"], told["against_start_points"]) == ("probe", 10.0)
    assert told["against_start_interval_points"][0] > 0


def test_what_is_best_supported_is_the_larger_gain_that_was_shown():
    base, grown = trials_of("classical", shares(30), LABELS), trials_of("gan", shares(38), LABELS)
    for right, best in ((40, "probe"), (36, "gan"), (20, "gan")):
        trials = base + grown + trials_of("probe", shares(right), LABELS)
        verdict = judge(trials, LABELS, candidates=["gan"], starts=["probe"])
        assert (verdict.outcome, verdict.best_supported) == ("helped", best)
    assert judge(base, LABELS).best_supported == "classical"
