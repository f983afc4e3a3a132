from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import context, done
from PIL import Image

import tenfold
from made_up_sets import easy_set
from tenfold.claims import dagan as claim
from tenfold.claims import few_shot, few_shot_source
from tenfold.claims.dagan import FULL, QUICK, Comparison, SetPlan
from tenfold.claims.few_shot import ARMS, train_arm, train_judge
from tenfold.claims.few_shot_source import class_split, samples_and_sealed
from tenfold.claims.tables import Results
from tenfold.claims.training import image_bytes
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import load_generator, make_method
from tenfold.runs import Finished
from tenfold.training.device import Device

SHORT = {"steps": 3, "batch_size": 4, "width": 4, "noise_size": 4, "least_diversity": 0.0}
TWO_ARMS = ("classical", "classical + dagan")
PLAN = SetPlan(
    name="omniglot",
    classes=(6, 2, 4),
    test_classes=4,
    samples=(5,),
    judge_images=6,
    steps=8,
    width=8,
    generator=SHORT,
    source_steps=3,
    source_width=4,
    size=16,
)
TINY = (
    replace(PLAN, more=(Comparison(name="replication", test_classes=3, samples=(1,), arms=TWO_ARMS, steps=8),)),
    replace(PLAN, name="faces", samples=(2,), arms=TWO_ARMS),
    replace(PLAN, name="emnist_letters", samples=(4,), per_class=4, judge_images=4, arms=TWO_ARMS),
)


def made_up(name: str, size: int, per_class: int | None) -> ImageDataset:
    """12 classes of 8 images; of the letters half are test images."""
    roles = (["train"] * 4 + ["test"] * 4 if per_class else ["train"] * 8) * 12
    return easy_set([8] * 12, (1, size, size), roles=roles, noise=60, key=name)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(few_shot_source, "load", made_up)
    monkeypatch.setattr(claim, "QUICK", TINY)
    few_shot_source._class_split.cache_clear()
    yield
    few_shot_source._class_split.cache_clear()


def settings_of(part: str, name: str = "omniglot", **wanted: Any) -> dict[str, Any]:
    """The first training of a part with these settings."""
    for job in claim.Claim().jobs([0, 1], quick=True):
        settings = job.config
        if settings["part"] == part and settings["data"]["set"] == name and wanted.items() <= settings.items():
            return dict(settings)
    raise AssertionError((part, name, wanted))


@pytest.mark.usefixtures("tiny")
def test_the_whole_claim_on_made_up_sets(tmp_path: Path) -> None:
    first = tenfold.reproduce("dagan", quick=True, out=tmp_path / "there", workers=1)
    kept = json.loads((tmp_path / "there" / "claim.json").read_text())
    titles = [table["title"] for table in kept["tables"]]
    assert len(titles) == len(set(titles)) == 2 * 4 + 2
    accuracy, differences = kept["tables"][:2]
    assert accuracy["columns"] == ["they say, without", "they say, with DAGAN", *ARMS]
    five = next(row for row in accuracy["rows"] if row["name"] == "5 images a class")
    assert [cell["estimate"] for cell in five["cells"][:2]] == [69.0, 82.1]
    by_arm = dict(zip(accuracy["columns"], five["cells"], strict=True))
    gain = np.subtract(by_arm["classical + dagan"]["each"], by_arm["classical"]["each"])
    assert kept["we_measured"]["effect_points"] == pytest.approx(gain.mean(), abs=2e-3)
    assert differences["rows"][0]["cells"][0]["estimate"] == 13.1
    letters = next(table for table in kept["tables"] if table["title"].startswith("EMNIST letters: test"))
    assert letters["rows"][0]["cells"][:2] == [None, None], "nothing was published for four images a class"
    assert kept["samples"]["training_images"] == 20
    assert kept["samples"]["test_images"] == 12
    assert len(kept["pictures"]) == 2 * 3
    for image in kept["pictures"]:
        assert Image.open(tmp_path / "there" / image["file"]).size[0] > 100
    page = (tmp_path / "there" / "report.html").read_text("utf-8")
    for words in ("VGG-Face cannot be had", "4.5 to 12.6", "independent classifier"):
        assert words in page
    again = tenfold.reproduce("dagan", quick=True, out=tmp_path / "there", workers=1)
    assert again.document["tables"] == first.document["tables"]


@pytest.mark.usefixtures("tiny")
def test_arms_read_the_same_samples_and_the_same_everywhere(tmp_path: Path) -> None:
    made = trained(tmp_path)
    for arm, how in ARMS.items():
        settings = settings_of("arm", samples=5, arm=arm, seed=1)
        result = train_arm(settings, context(tmp_path, **made))
        assert result == train_arm(json.loads(json.dumps(settings)), context(tmp_path, **made))
        assert (result["training_images"], result["test_images"], result["classes"]) == (20, 12, 4)
        assert result.get("new_images", 0) == 40 * how.dagan
    chosen_by = settings_of("arm", arm="raw") | {"judged_on": "validation", "test_classes": 2}
    assert train_arm(chosen_by, context(tmp_path, **made))["training_images"] == 10
    judged = train_judge(settings_of("judge"), context(tmp_path, **made))
    assert (judged["test_images"], judged["new_images"]) == (8, 32)
    assert judged["variety"] > 0


def trained(path: Path) -> dict[str, Path]:
    """The directories of a generator and of a source network."""
    generator, source = context(path), context(path)
    few_shot_source.train_generator(settings_of("generator"), generator)
    few_shot_source.train_source(settings_of("source"), source)
    return {"generator": generator.directory, "source": source.directory}


@pytest.mark.usefixtures("tiny")
def test_a_generator_in_its_file_draws_what_it_drew(tmp_path: Path) -> None:
    made, parts = load_generator(trained(tmp_path)["generator"]), class_split(settings_of("pictures")["data"])
    fresh = made.method.learn(parts.source, Key("dagan") / "omniglot")
    conditions = fresh.conditions(parts.unseen, Key("any"))(np.arange(3), np.arange(3))
    drawn = [one.sample(conditions, [1, 2, 3], parts.unseen.image_shape) for one in (made.generator, fresh)]
    assert np.array_equal(*drawn)


@pytest.mark.usefixtures("tiny")
def test_sheets_show_the_real_image_first_and_the_noise_moves(tmp_path: Path) -> None:
    settings = settings_of("pictures")
    shown = few_shot.draw_sheets(settings, context(tmp_path, **trained(tmp_path)))
    unseen = class_split(settings["data"]).unseen
    for name, columns in (("new", 9), ("between", 10)):
        image = Image.open(io.BytesIO(image_bytes(shown[name])))
        assert image.size == (columns * 51 - 3, 4 * 51 - 3)
        first = np.asarray(image)[0:48:3, 0:48:3, 0]
        assert np.array_equal(first, unseen.images[unseen.labels == 0][0, 0])


@pytest.mark.usefixtures("tiny")
def test_classes_and_images_are_kept_apart() -> None:
    for name, per_class in (("omniglot", None), ("emnist_letters", 4)):
        parts = class_split({"set": name, "size": 16, "per_class": per_class, "classes": [6, 2, 4]})
        classes = [set(part.class_names) for part in (parts.source, parts.validation, parts.unseen)]
        assert sum(map(len, classes)) == len(set.union(*classes)) == 12
        assert set(parts.source.roles) == {"train"}
        fewer = class_split({"set": name, "size": 16, "per_class": per_class, "classes": [3, 2, 4]})
        assert fewer.unseen.fingerprint() == parts.unseen.fingerprint()
        train, sealed = samples_and_sealed(parts.unseen, 3, Key("a"))
        assert not set(train.sources) & set(sealed.sources)
        assert train.counts().tolist() == [3] * 4
        assert set(sealed.roles) == {"test" if per_class else "train"}
        assert len(sealed) == (16 if per_class else 20)
        assert set(samples_and_sealed(parts.unseen, 2, Key("a"))[0].sources) < set(train.sources)
        assert set(samples_and_sealed(parts.unseen, 3, Key("b"))[0].sources) != set(train.sources)
        with pytest.raises(InputError, match="too few images"):
            samples_and_sealed(parts.unseen, 8, Key("a"))
    with pytest.raises(InputError, match="has 12 classes"):
        class_split({"set": "omniglot", "size": 16, "per_class": None, "classes": [6, 3, 4]})


def test_the_linear_head_tells_well_separated_classes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    random = Key("head").numpy_generator()
    centres = np.eye(4, 6)  # as features are: of length 1
    monkeypatch.setattr(few_shot_source, "_features", lambda classifier, images: images[:, :6, 0, 0])

    def samples(count: int) -> ImageDataset:
        labels = np.arange(4).repeat(count)
        rows = (centres[labels] + random.normal(size=(len(labels), 6)) * 0.05).astype(np.float32)
        return replace(easy_set([count] * 4), images=rows[:, :, np.newaxis, np.newaxis], labels=labels)

    asked = samples(5)
    for count in (1, 3):
        predictions = few_shot_source.head_predictions(None, samples(count), asked.images)  # type: ignore[arg-type]
        assert np.array_equal(predictions, asked.labels)


def test_the_source_network_trains_on_its_device() -> None:
    config = {"data": {"set": "made up"}, "steps": 2, "width": 4}
    step = few_shot_source.SourceStep(easy_set([8, 8], (1, 16, 16)), config, Device("meta"))
    assert step.step(0)["loss"].is_meta


def finished_arm(samples: int, arm: str, seed: int, accuracy: float) -> Finished:
    settings = {"part": "arm", "comparison": "omniglot", "samples": samples, "arm": arm, "seed": seed}
    return done(settings, {"accuracy": accuracy, "classes": 211, "training_images": 1055, "test_images": 3165})


def made_up_results() -> Results:
    """At 5 samples dagan adds 2 and 4 points to weak, 1 and 2 to strong classical augmentation, which is better."""
    levels = {
        "classical": (0.70, 0.72),
        "classical + dagan": (0.72, 0.76),
        "strong classical": (0.80, 0.81),
        "strong classical + dagan": (0.81, 0.83),
    }
    arms = [finished_arm(5, arm, seed, of[seed]) for seed in (1, 0) for arm, of in levels.items()]
    judged = [
        done(
            {"part": "judge", "data": {"set": "omniglot"}, "seed": seed},
            {"real": 0.9, "generated": 0.87 + 0.01 * seed, "variety": 0.5},
        )
        for seed in (0, 1)
    ]
    return Results([*arms, *judged])


def test_what_finished_trainings_are_judged_to_show() -> None:
    result = claim.Claim().summary(made_up_results())
    assert result.effect.estimate == pytest.approx(0.03)
    assert result.values == pytest.approx({"with DAGAN": 0.74, "without": 0.71})
    accuracy, differences, recognised, lost = result.tables
    assert [cell and cell.estimate for cell in accuracy.rows["5 images a class"]] == pytest.approx(
        [0.69, 0.821, 0.71, 0.74, 0.805, 0.82]
    )
    cells = differences.rows["5 images a class"]
    assert [cell and cell.estimate for cell in cells] == pytest.approx([0.131, 0.03, 0.015, 0.015])
    assert differences.columns[-1] == "the better with dagan − the better without"
    for cell in cells[1:]:
        assert cell is not None
        assert cell.low is not None
        assert cell.high is not None
        assert cell.low < cell.estimate < cell.high
    (row,) = recognised.rows.values()
    assert [cell and cell.estimate for cell in row] == pytest.approx([0.9, 0.875, 0.5])
    (row,) = lost.rows.values()
    assert row[0] is not None
    assert row[0].each == pytest.approx((-0.03, -0.02))


def test_what_was_published() -> None:
    text = claim.Claim().text
    published = {name: {n: shares for n, *shares in result["published"]} for name, result in text.facts.items()}
    assert published["omniglot"][5] == [text.they_say.values["without"], text.they_say.values["with DAGAN"]]
    gains = [round(100 * (grown - plain), 1) for plain, grown in published["replication"].values()]
    assert gains == [2.8, 10.4, 5.5, 7.5, 2.4]
    assert [pair[1] for pair in published["omniglot"].values()] == [0.821, 0.862, 0.874]
    assert list(published["emnist_letters"]) == list(FULL[2].samples)


def test_the_scales_are_what_the_claim_speaks_of() -> None:
    full, (replication,) = FULL[0], FULL[0].more
    assert (full.classes, full.test_classes, full.samples) == ((1200, 212, 211), 211, (5, 10, 15))
    assert (replication.name, replication.test_classes, replication.arms) == ("replication", 100, TWO_ARMS)
    for scale in (FULL, QUICK):
        assert [plan.name for plan in scale] == ["omniglot", "faces", "emnist_letters"]
        for plan in scale:
            assert plan.test_classes <= plan.classes[2]
            make_method("dagan", dict(plan.generator))
    for job in claim.Claim().jobs(range(5), quick=False):
        assert all(needed.config["data"] == job.config["data"] for needed in job.needs.values())


@pytest.mark.usefixtures("data_directory")
@pytest.mark.parametrize(("plan", "images"), [(FULL[1], 10), (FULL[2], 400)], ids=["faces", "emnist_letters"])
def test_the_real_sets_have_what_is_asked_of_them(plan: SetPlan, images: int) -> None:
    parts = class_split(plan.data)
    assert parts.unseen.image_shape == (1, plan.size, plan.size)
    assert tuple(p.class_count for p in (parts.source, parts.validation, parts.unseen)) == plan.classes
    assert set(parts.unseen.counts()) == {images}
    for samples in (*plan.samples, plan.judge_images):
        samples_and_sealed(parts.unseen, samples, Key("seed-0"))
