import json
from dataclasses import replace

import pytest
from made_up_content import told_in_full, verdict

from tenfold.evaluation.serialise import verdict_json
from tenfold.report.text import WIDTH, verdict_text


def lines_of(one):
    """As it is printed from a file, with the line breaks within a fact undone."""
    return verdict_text(json.loads(json.dumps(verdict_json(one)))).replace("\n  ", " ").splitlines()


def test_facts_stand_below_the_table_and_no_line_is_too_wide():
    lines = verdict_text(verdict_json(told_in_full())).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines_of(told_in_full())[-7:] == [
        "In real images: Its 280 added images (mean of the folds) were worth 140 real ones (93 to 187): about 70 "
        "more real images a class would give the same.",
        "More images: classical would reach 90 % with about 1,300 more like these (620 to 4,100); classical is not "
        "likely to reach 95 % within 100 times as many, and takes at least 14,000 more for it.",
        "The chosen arm would beat classical in 57 % of fresh splits (won 9, tied 5, lost 6 of 20 folds; "
        "ties count half)",
        "By these data a gain is 100 % probable, one above 1 point 91 %; its log loss is 0.021 lower "
        "(gain +0.009 to +0.033, p < 0.001)",
        "External test (plain accuracy, mean of 20 trainings): chosen arm 91.2 %, classical 90.1 %, difference +1.1 "
        "points (-0.4 to +2.6), p = 0.27, 796 images",
        "classical+cgan: no new images in 12 of 20 folds, 2 for each real one in 8",
        "warning: something to know",
    ]


def test_groups_of_the_external_test_are_told_where_they_are_fewer_than_its_images():
    sealed = replace(told_in_full().external, groups=90)
    (line,) = [line for line in lines_of(told_in_full(external=sealed)) if line.startswith("External test")]
    assert line.endswith("796 images in 90 independent groups")


def test_what_there_is_not_is_not_told():
    lines = lines_of(verdict())
    assert len(lines) == 2 + 5 + 2 + 1
    assert lines[-3].startswith("The chosen arm would beat")


def test_where_the_baseline_was_always_kept_the_best_arm_tells_its_worth():
    lines = lines_of(told_in_full(chosen_arm="classical", pick_counts={"classical": 20}))
    (worth,) = [line for line in lines if line.startswith("In real images: ")]
    assert worth.startswith("In real images: oracle: its 280 added images were worth 280 real ones (at least 180")
    assert not any("fresh split" in line for line in lines)


@pytest.mark.parametrize(
    "missing",
    [
        "wins",
        "worth",
        "worth_sentence",
        "images_for",
        "images_for_sentence",
        "external",
        "looks",
        "curve",
        "p_value",
        "probability_of_gain",
        "log_loss",
    ],
)
def test_files_of_earlier_versions_print_too(missing):
    document = verdict_json(told_in_full())
    del document[missing]
    for arm in document["arms"].values():
        arm.pop(missing, None)
        del arm["ratios"]
    assert "classical+cgan" in verdict_text(document)
