import base64
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from made_up_content import arm, content, interval, sheet, told_in_full, verdict
from PIL import Image

from tenfold.core.keys import Key
from tenfold.evaluation import Interval, LogLoss, Look, Worth
from tenfold.evaluation.serialise import sentence, verdict_json
from tenfold.report.page import duration, plain, points, render
from tenfold.report.text import verdict_text

VOID = {"meta", "img", "rect", "line", "path", "circle", "br"}


class Page(HTMLParser):
    """Words, tags and attributes of a page; fails where tags do not nest."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words += data

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def test_page_tells_everything():
    page = Page(render(content()))
    text = " ".join(page.words.split())
    for words in (
        sentence(verdict()),
        "+3.1 points",
        "+1.2 to +5.0",
        "1,234 images in 900 independent groups",
        "each of 4 repeats",
        "something to know",
        "and something else",
        "−5.0",
        "it collapsed",
        "a control",
        "blast/9.png: truncated",
        "3 files: turned upright by EXIF",
        "duplicates stay in one fold",
        "few blasts",
        "in colour, 60 × 40 pixels",
        "tenfold run cells --seed 7",
        "seed 7",
        "92,314",
        "2 min 14 s",
        "too few images",
    ):
        assert words in text, words


def words_of(**changes):
    """All words of a page, with a space between the cells of its tables."""
    spaced = re.sub(r"(?=<(?:td|th|dd|span)\b)", " ", render(content(**changes)))
    return " ".join(Page(spaced).words.split())


FULL = {
    "What it was worth in real images": (
        "Its 280 added images (mean of the folds) were worth 140 real ones (93 to 187): about 70 more",
        "How many more images? classical would reach 90 % with about 1,300 more like these (620 to 4,100)",
        "classical on 140 real images: 79.0 %, 76.0 to 82.0.",
        "−121 −140 to −103 −60",
        "−5 or more",
        "and on more",
        "classical+cgan 280 +140 +93 to +187 +70",
        "cannot be told",
    ),
    "Can its confidence be trusted?": ("classical+cgan 3.4 2.1",),
    "On the sealed external test": (
        "The chosen arm recognised 91.2 % (89.2 to 93.2), classical 90.1 %",
        "a difference of +1.1 points, 95 % interval −0.4 to +2.6, p = 0.27",
        "Chosen arm right 695.0 31.0 Chosen arm wrong 22.0 48.0",
        "means over the 20 trainings of each arm",
    ),
    "How many new images were used": ("no new images in 12 of 20 folds, 2 for each real one in 8",),
    "What the new images are like": (
        "no say in the verdict",
        "74.4 % real alone 85.2 %",
        "3.1 % unseen real 1.1 %",
        "0.0123",
        "ImageNet",
        "0.97",
    ),
    "Looking on the way was planned too": ("after 2 repeats p = 0.040; after 4 repeats p = 0.004", "None did."),
    "The other arms, class by class": (),
}


@pytest.mark.parametrize("heading", FULL)
def test_sections_are_there_only_where_there_is_something_to_show(heading):
    full, bare = words_of(verdict=told_in_full()), words_of(verdict=verdict(arms=(arm("classical", 0.85),)))
    for words in (heading, *FULL[heading]):
        assert words in full, words
    assert heading not in bare


def test_both_shares_of_each_class_are_shown_with_their_means():
    text = words_of(verdict=told_in_full())
    assert "classical classical+cgan Sensitivity Specificity Sensitivity Specificity" in text
    assert "lymphocyte 1,230 images 85.0 80.0–90.0 91.3 89.3–93.3 88.0 86.0–90.0 91.3 89.3–93.3" in text
    assert "Mean of the classes 85.0 83.0–87.0 86.0 88.0 86.0–90.0 86.0" in text


def test_chance_and_p_value_are_told_unless_nothing_but_the_baseline_was_chosen():
    text = words_of()
    assert "chance to win on a fresh split 57 %" in text
    assert "on 9 of the 20 test folds the chosen arm did better than classical, on 5 as well, on 6 worse" in text
    assert "p = 0.004 (two-sided)" in text
    assert "a gain has a probability of 100 %, one above 1 point of 91 %" in text
    assert "0.021 nats lower (better) an image" in words_of(verdict=told_in_full())
    kept = words_of(verdict=verdict(chosen_arm="classical", pick_counts={"classical": 20}))
    assert "fresh split" not in kept
    assert "two-sided" not in kept


def test_a_planned_end_is_said():
    ended = words_of(verdict=verdict(repeats=2, interim_looks=(Look(2, 0.0002, True),)), stop_below=0.002)
    assert "5 × 2 (ended early as planned)" in ended
    assert "p < 0.001" in ended
    assert "only below p = 0.002" in ended
    assert "The look after 2 repeats ended it." in ended


def test_the_terminal_and_the_page_agree_in_every_number():
    """Also in those near the middle between two printed ones, where rounding twice and once differ."""
    draw = Key("every number").numpy_generator()

    def near_the_middle(low, high):
        return Interval(*(draw.integers(low, high, 3) / 1000 + 0.00045 + draw.random(3) / 10_000), 0.01)

    arms = [
        arm(f"arm {n}", 0, 0.01, "helped", balanced_accuracy=near_the_middle(500, 999), seconds=1,
            against_baseline=near_the_middle(-40, 40))
        for n in range(40)
    ]  # fmt: skip
    one = verdict(
        arms=(arm("classical", 0.85), *arms),
        log_loss=LogLoss(Interval(0.02049, 0.01146, 0.03147, 0.01), 0.02249),
        probability_of_gain=0.98496,
        external=replace(told_in_full().external, pick_accuracy=near_the_middle(500, 999), p_value=0.014996),
    )
    page, terminal = words_of(verdict=one), " ".join(verdict_text(verdict_json(one)).split())
    page = page.replace("−", "-")
    rows = re.findall(r"arm \d+ +(\S+) % \((\S+) to (\S+)\) +(\S+) points \((\S+) to (\S+)\)", terminal)
    assert len(rows) == 40
    for share, low, high, *gain in rows:
        gain = ["0.0" if value in ("+0.0", "-0.0") else value for value in gain]
        assert f"{share} {low}–{high} {gain[0]} {gain[1]} to {gain[2]}" in page
    loss = re.search(r"log loss is (\S+) lower \(gain (\S+) to (\S+), (p = \S+)\)", terminal)
    better, low, high, p = loss.groups()
    assert f"{better} nats lower (better) an image (95 % interval of the gain {low} to {high}, {p})" in page
    picked, p = re.search(r"chosen arm (\S+) %.* points \(.*\), (p = \S+), 796", terminal).groups()
    assert f"The chosen arm recognised {picked} %" in page
    assert f"{p}." in page
    probable = re.search(r"a gain is (\d+ %)", terminal).group(1)
    assert f"a gain has a probability of {probable}" in page


def test_groups_of_the_external_test_are_told():
    sealed = replace(told_in_full().external, groups=90)
    text = words_of(verdict=told_in_full(external=sealed))
    assert "796 images in 90 independent groups" in text
    assert "which images and groups happen to be in the test" in text


def test_pick_has_its_own_worth_where_no_arm_was_chosen_throughout():
    mixed = told_in_full(pick_counts={"classical+cgan": 15, "classical": 5}, worth=Worth(math.inf, 50, math.inf))
    text = words_of(verdict=mixed)
    assert "chosen arm 210 more than the curve tells +50 or more" in text
    assert "What was chosen in each fold was worth at least 50 real images" in text


@pytest.mark.parametrize("unknown", [math.nan, math.inf])
def test_diagnostics_that_are_no_numbers_are_left_out(unknown):
    odd = arm("classical+cgan", 0.88, 0.031, "helped", diagnostics={"kid": unknown, "precision": 0.5, "other": 1.0})
    text = words_of(verdict=verdict(arms=(arm("classical", 0.85), odd)))
    assert "KID" not in text
    assert "precision" in text
    assert "nan" not in text.split()


def test_page_needs_nothing_else():
    page = Page(render(content(verdict=told_in_full())))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src"):
            assert attributes.get(name, "data:").startswith("data:")
    assert "url(" not in render(content(verdict=told_in_full()))


def test_page_can_be_read_without_seeing_it():
    page = Page(render(content(verdict=told_in_full())))
    assert [tag for tag, _ in page.tags].count("h1") == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("top, bottom" in image["alt"] for image in page.of("img"))
    assert "classical+cgan: +3.1, +2.1 to +4.1, helped." in page.words
    assert page.of("html") == [{"lang": "en"}]


def test_names_are_inert():
    evil = "<script>alert(1)</script>"
    quote = '"><img src=x onerror=alert(2)>'
    html = render(
        content(
            data_name=evil,
            class_names=[evil, quote],
            audit={"counts": {evil: 3, quote: 4}, "set_aside": [{"source": quote, "reason": evil}]},
            sheets=[sheet(row_labels=[evil, quote])],
            command=evil,
            config={quote: evil},
            classifiers={evil: {evil: quote}},
            warnings=[quote],
            verdict=told_in_full(
                arms=tuple(
                    replace(one, name={"classical+cgan": evil, "classical+mixup": quote}.get(one.name, one.name))
                    for one in told_in_full().arms
                ),
                chosen_arm=evil,
                pick_counts={evil: 15, "classical": 5},
                warnings=(evil,),
            ),
            arm_notes={evil: quote},
        )
    )
    page = Page(html)
    assert not page.of("script")
    assert len(page.of("img")) == 1
    assert evil in page.words


@pytest.mark.parametrize("audit", [{}, {"images": 3, "counts": {}}, {"counts": {"lymphocyte": 0, "blast": 0}}])
def test_a_set_without_verdict_still_gets_a_page(audit):
    bare = content(verdict=None, audit=audit, sheets=[], config={}, classifiers={}, duration_seconds=None)
    page = Page(render(replace(bare, warnings=["only one class"])))
    assert "Not evaluated" in page.words
    assert "only one class" in page.words
    assert not page.of("svg")


def test_degenerate_verdicts_can_be_drawn():
    same = interval(0.0, 0.0)
    nothing = verdict(
        outcome="no_practical_difference",
        chosen_arm="classical",
        difference=same,
        smallest_detectable=0.0,
        margin=0.0005,
        repeats=1,
        arms=(arm("classical", 0.85),),
        pick_counts={"classical": 5},
        warnings=(),
    )
    page = Page(render(content(verdict=nothing, warnings=())))
    assert "in the one repeat" in " ".join(page.words.split())
    assert "(provisional)" in page.words
    assert "Before you rely on it" not in page.words


def test_images_are_those_of_the_sheet():
    shown = sheet(rows=1, columns=2, channels=3, side=60)
    html = render(content(sheets=[shown]))
    (source,) = [image["src"] for image in Page(html).of("img")]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
    np.testing.assert_array_equal(pixels[:, :60, :3], shown.rows[0][0].image.transpose(1, 2, 0))
    np.testing.assert_array_equal(pixels[:, -60:, :3], shown.rows[0][1].image.transpose(1, 2, 0))


def test_page_stays_under_ten_megabytes():
    noise = sheet(rows=10, columns=10, channels=3, side=128)
    listed = [{"source": f"{i}.png", "reason": "truncated"} for i in range(100_000)]
    html = render(content(sheets=[noise, noise], audit={"set_aside": listed}))
    assert len(html.encode()) < 10_000_000
    assert len(Page(html).of("img")) == 2
    assert "100,000 files not used" in html
    assert "and 99,500 further files" in html


def test_surrogates_of_broken_file_names_survive():
    html = render(content(class_names=["bl\udcffast", "b"]))
    assert b"bl\xffast" in html.encode("utf-8", "surrogateescape")


def test_numbers_as_people_write_them():
    assert [points(x) for x in (0.031, -0.0125, 0.0, -0.0001, 0.0001)] == [
        "+3.1",
        "−1.2",
        "0.0",
        "0.0",
        "0.0",
    ]
    assert [duration(x) for x in (0.3, 45, 59.7, 134, 3900)] == [
        "0.3 s",
        "45 s",
        "1 min 00 s",
        "2 min 14 s",
        "1 h 05 min",
    ]
    assert [plain(x) for x in ("a", 1, None, ["é"])] == ["a", "1", "null", '["é"]']
