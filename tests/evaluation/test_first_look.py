import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_studies import noise_study, trials_of

from tenfold.core.errors import TenfoldError
from tenfold.core.keys import Key
from tenfold.evaluation.compare import Design, compare
from tenfold.evaluation.first_look import first_look
from tenfold.evaluation.serialise import verdict_json
from tenfold.evaluation.wording import answer, folds_words, sentence
from tenfold.report.text import verdict_text

N, FOLDS = 120, 5
LABELS = np.arange(N) % 2


def design(candidates=("base", "mix"), labels=LABELS, **changes):
    values = {"class_names": ("no", "yes"), "evaluated": (0, 1), "folds": FOLDS, "baseline": "base", **changes}
    return Design(labels, np.arange(len(labels)), candidates=candidates, **values)


def arm(name, share, folds, *, validation=0.5, **changes):
    """The first so many folds of an arm that is right in this share of the images."""
    correct = (Key("first look") / name).numpy_generator().random((N, 1)) < share
    trials = trials_of(name, correct, LABELS, folds=FOLDS, validation=validation, **changes)
    return [trial for trial in trials if trial.fold in folds]


def test_arms_are_compared_on_the_images_of_the_folds_that_they_share():
    trials = arm("base", 0.6, {0, 1, 2}) + arm("mix", 0.99, {0, 1}, validation=0.9)
    verdict = first_look(trials, design())
    assert (verdict.finished_folds, verdict.folds, verdict.repeats, verdict.images) == ((0, 1), 5, 1, 48)
    assert verdict.chosen_arm == "mix"
    assert verdict.difference.low > 0.1
    tested = [i for trial in trials if trial.fold < 2 and trial.arm == "mix" for i in trial.test_indices]
    right = [
        int(np.argmax(row)) == LABELS[i]
        for trial in trials
        if trial.fold < 2 and trial.arm == "mix"
        for i, row in zip(trial.test_indices, trial.test_probabilities, strict=True)
    ]
    by_class = [np.mean([r for r, i in zip(right, tested, strict=True) if LABELS[i] == label]) for label in (0, 1)]
    assert verdict.arms[1].balanced_accuracy.estimate == pytest.approx(np.mean(by_class))


@pytest.mark.parametrize(("mixed", "base", "outcome"), [(0.99, 0.5, "promising"), (0.5, 0.99, "nothing_preferred")])
def test_it_is_never_more_than_a_first_look(mixed, base, outcome):
    trials = arm("base", base, {0, 1, 2, 3}) + arm("mix", mixed, {0, 1, 2, 3}, validation=0.9)
    verdict = first_look(trials, design())
    assert verdict.difference.low > 0 or verdict.difference.high < 0
    assert verdict.outcome == outcome
    assert verdict.arms[1].outcome == ("promising" if mixed > base else "not_proven")
    assert verdict.provisional
    assert "a first look at 96 images, folds 1 to 4 of 5" in sentence(verdict)


def test_a_whole_repeat_gives_the_figures_that_compare_gives():
    trials, labels = noise_study(Key("whole"), ("base", "mix", "raw"), repeats=1)
    rules = design(labels=labels)
    look, whole = first_look(trials, rules), compare(trials, rules)
    assert look.difference == whole.difference
    assert [one.balanced_accuracy for one in look.arms] == [one.balanced_accuracy for one in whole.arms]
    assert look.finished_folds == (0, 1, 2, 3, 4)


def test_an_arm_with_fewer_folds_is_judged_on_its_own_and_not_chosen():
    trials = arm("base", 0.6, {0, 1, 2, 3, 4}) + arm("mix", 0.7, {0, 1, 2, 3, 4}, validation=0.9)
    slow = arm("gan", 0.9, {0}, validation=1.0)
    rules = design(("base", "mix", "gan"))
    verdict, without = first_look(trials + slow, rules), first_look(trials, rules)
    assert verdict.difference == without.difference
    assert verdict.arms[:2] == without.arms
    gan = verdict.arms[2]
    assert (gan.name, gan.finished_folds) == ("gan", (0,))
    assert gan.outcome in ("promising", "not_proven")
    alone = first_look(arm("base", 0.6, {0}) + slow, rules)
    assert gan.against_baseline == alone.arms[1].against_baseline
    document = verdict_json(verdict)
    assert document["arms"]["gan"]["finished_folds"] == [1]
    assert "fold 1 of 5" in verdict_text(document)


def test_an_arm_that_shares_no_fold_with_the_baseline_is_left_out():
    verdict = first_look(arm("base", 0.6, {0}) + arm("mix", 0.9, {1}), design())
    assert [one.name for one in verdict.arms] == ["base"]
    assert not verdict.compared


def test_a_learning_curve_neither_takes_part_in_the_choice_of_folds_nor_is_compared():
    trials = arm("base", 0.6, {0, 1, 2}) + arm("mix", 0.6, {0, 1, 2}) + arm("half", 0.5, {0}, details=REAL)
    verdict = first_look(trials, design(curve=("half",)))
    assert verdict.finished_folds == (0, 1, 2)
    assert [one.name for one in verdict.arms] == ["base", "mix"]


REAL = {"real_images": 48, "extra_images": 0}


def test_the_baseline_alone_is_told_with_its_accuracy():
    verdict = first_look(arm("base", 0.75, {0}), design())
    document = verdict_json(verdict)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["estimate_points"], document["finished_folds"]) == (None, [1])
    assert document["arms"]["base"]["balanced_accuracy"] == pytest.approx(0.75, abs=0.25)
    assert re.search(r"no arm but base, whose balanced accuracy is \d+\.\d %, could be judged", sentence(verdict))
    assert answer(verdict) == "Nothing was compared with the baseline yet."


@pytest.mark.parametrize("trials", [[], arm("mix", 0.9, {0, 1})])
def test_nothing_is_known_without_a_fold_of_the_baseline(trials):
    verdict = first_look(trials, design())
    document = verdict_json(verdict)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (verdict.repeats, document["verdict"], document["p_value"]) == (0, "not_proven", None)
    assert math.isnan(verdict.difference.estimate)
    assert sentence(verdict).startswith("No training of base was finished")
    assert answer(verdict).startswith("Nothing is known yet")


def test_an_arm_that_failed_in_any_fold_has_failed():
    failing = arm("mix", 0.9, {0, 1, 2})
    failing[2] = replace(failing[2], test_indices=[], failed="collapsed")
    verdict = first_look(arm("base", 0.6, {0, 1}) + failing, design())
    assert verdict.arms[1].failure == "collapsed"
    assert verdict.arms[1].against_baseline is None


def test_a_baseline_that_failed_ends_it():
    with pytest.raises(TenfoldError, match="the baseline 'base' failed"):
        first_look(arm("base", 0.6, {0}, failed="no memory") + arm("mix", 0.6, {0}), design())


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ((1,), "fold 2 of 5"),
        ((0, 1), "folds 1 and 2 of 5"),
        ((0, 1, 2), "folds 1 to 3 of 5"),
        ((0, 2, 3), "folds 1, 3 and 4 of 5"),
    ],
)
def test_folds_in_words(folds, words):
    assert folds_words(folds, 5) == words
