"""What every method must keep, whichever it is: the test runs over all files found in methods/."""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tenfold.methods
from made_up_sets import SHORT, easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Generator, NoiseGenerator
from tenfold.methods import (
    GeneratorMethod,
    Grown,
    Method,
    MethodFailed,
    make_method,
    method_class,
    method_names,
)  # fmt: skip
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.training import backbone_start
from tenfold.training.callbacks import Callback
from tenfold.training.classifier import train_classifier
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe, Start, plain_objective

SHORTENED: dict[str, Any] = {
    "steps": 4,
    "batch_size": 8,
    "width": 4,
    "least_diversity": 0.0,
    "label_filter": False,
    "head": "pixels",
    "fewest": 1,
    "judge_steps": 4,
    "probe_steps": 4,
    "least_swap_accuracy": 0.0,
}
"""Given to every method that has such an option, so that none takes long here. After so few steps nothing can be
asked of labels, and a deformation is a near copy still."""


SHAPES = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 45, 45)]

every_method = pytest.mark.parametrize("name", method_names())


@pytest.fixture(autouse=True)
def short_source_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_start, "SOURCE_TRAINING", SHORT)


@pytest.fixture(autouse=True, scope="module")
def a_related_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For methods that read another set; its classes are those of `easy_set`."""
    path = tmp_path_factory.mktemp("related") / "related.npz"
    other = easy_set([6, 6, 6, 6], key="related")
    np.savez(path, images=other.images[:, 0], labels=other.labels, class_names=np.array(other.class_names))
    SHORTENED["source"] = str(path)
    yield
    del SHORTENED["source"]


def short(name: str, **options: Any) -> Method:
    known = method_class(name).Config.__dataclass_fields__
    return make_method(name, {k: v for k, v in {**SHORTENED, **options}.items() if k in known})


def fitted(name: str, train: ImageDataset, key: str = "one", **options: Any) -> Recipe:
    reserve = easy_set([4] * train.class_count, train.image_shape, key="reserve")
    return short(name, **options).fit(train, reserve, Key(key))


def batch_of(data: ImageDataset) -> tuple[torch.Tensor, torch.Tensor]:
    return to_float(torch.tensor(data.images)), torch.eye(data.class_count)[torch.tensor(data.labels)]


def transformed(recipe: Recipe, data: ImageDataset, key: str = "draws") -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = batch_of(data)
    generator = Key(key).torch_generator()
    for transform in recipe.batch_transforms:
        images, labels = transform(images, labels, generator)
    return images, labels


@every_method
def test_the_configuration_is_frozen_and_has_a_default_for_everything(name: str) -> None:
    config = method_class(name).Config()
    assert config.__dataclass_params__.frozen
    assert make_method(name).config == config
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, None)


@every_method
def test_an_option_that_is_not_known_names_the_nearest(name: str) -> None:
    for option in method_class(name).Config.__dataclass_fields__:
        with pytest.raises(InputError, match=f"{name} has no option '{option}x'. Did you mean '{option}'"):
            make_method(name, {f"{option}x": 1})
    with pytest.raises(InputError, match=f"{name} has no option 'qqq'"):
        make_method(name, {"qqq": 1})


@every_method
def test_a_value_of_the_wrong_kind_is_refused(name: str) -> None:
    for option in method_class(name).Config.__dataclass_fields__:
        with pytest.raises(InputError, match=rf"{name}\({option}=\[\]\)"):
            make_method(name, {option: []})


@every_method
def test_a_number_below_zero_is_refused(name: str) -> None:
    for option in dataclasses.fields(method_class(name).Config):
        if type(option.default) in (int, float):
            with pytest.raises(InputError, match=rf"{name}\({option.name}=-1\)"):
                make_method(name, {option.name: "-1"})


@pytest.mark.parametrize(
    "wrong",
    [
        "augmix(strength=1.5)", "augmix(chains=0)", "augmix(alpha=0)", "augmix(depth=0)", "classical(policy=storng)",
        "classical(degrees=200)", "cutmix(alpha=0)", "cutmix(weights=each)", "dcgan(preset=thorough)",
        "label_smoothing(share=1)", "manifold(alpha=0)", "mixup(alpha=0)", "mixup(ways=1)", "mixup(weights=each)",
        "restyle(preset=articel)",
    ],
)  # fmt: skip
def test_a_value_outside_its_range_is_refused(wrong: str) -> None:
    name, option, value = re.split(r"[(=)]", wrong)[:3]
    with pytest.raises(InputError, match=re.escape(wrong)):
        make_method(name, {option: value})


@every_method
def test_what_is_given_wins_over_the_preset_whatever_its_value(name: str) -> None:
    method = method_class(name)
    for preset, config in method.PRESETS.items():
        assert make_method(name, {"preset": preset}).config == config
        for option in dataclasses.fields(config):
            if option.name != "preset" and option.default is not None:
                made = make_method(name, {"preset": preset, option.name: option.default})
                assert made.config == dataclasses.replace(config, **{option.name: option.default})
    if method.PRESETS:
        assert method.PRESETS[method.Config.preset] == method.Config()


@every_method
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_recipe_fits_the_images(name: str, shape: tuple[int, int, int]) -> None:
    train = easy_set([5, 3, 1], shape)  # a class with one image must be grown like any other
    before = train.fingerprint()
    recipe = fitted(name, train)
    assert train.fingerprint() == before
    if recipe.extra is not None:
        assert recipe.extra.class_names == train.class_names
        assert recipe.extra.image_shape == shape
        assert recipe.extra.images.dtype == np.uint8
        assert set(recipe.extra.labels) <= {0, 1, 2}
        assert len(train.joined(recipe.extra)) == len(train) + len(recipe.extra)
    given, targets = batch_of(train)
    untouched = given.clone(), targets.clone()
    for transform in recipe.batch_transforms:
        images, labels = transform(given, targets, Key("draws").torch_generator())
        assert torch.equal(given, untouched[0]), "the batch was changed in place"
        assert torch.equal(targets, untouched[1]), "the labels were changed in place"
        assert images.shape == given.shape
        assert images.dtype == torch.float32
        assert images.isfinite().all()
        assert images.abs().max() <= 1 + 1e-6
        assert labels.shape == targets.shape
        assert labels.min() >= 0
        assert torch.allclose(labels.sum(1), torch.ones(len(labels)))


@every_method
def test_the_same_key_gives_the_same_and_another_key_something_else(name: str) -> None:
    train = easy_set([6, 6])
    first, again, other = (fitted(name, train, key) for key in ("one", "one", "two"))
    if first.extra is not None:
        assert again.extra is not None
        assert other.extra is not None
        assert first.extra.fingerprint() == again.extra.fingerprint()
        draws = method_class(name).trains_generator or name == "oracle"
        assert (first.extra.fingerprint() != other.extra.fingerprint()) == draws
    if first.transforms:
        one, same = transformed(first, train), transformed(again, train)
        assert torch.equal(one[0], same[0])
        assert torch.equal(one[1], same[1])
        draws = not method_class(name).smooths_labels  # which does the same to every label
        assert torch.equal(one[0], transformed(first, train, "other draws")[0]) != draws


@pytest.mark.parametrize("name", [name for name in method_names() if method_class(name).makes_files()])
def test_growing_is_repeatable_and_says_where_each_image_came_from(name: str) -> None:
    train = easy_set([6, 4, 1])
    first, again, other = (short(name).grow(train, 2.5, Key(key)) for key in ("one", "one", "two"))
    assert np.array_equal(first.images, again.images)
    assert (first.parents, first.seeds) == (again.parents, again.seeds)
    assert not np.array_equal(first.images, other.images)
    assert len(first.images) == round(2.5 * len(train))
    as_set = first.as_dataset(train)
    assert set(as_set.labels) == {0, 1, 2}
    takes_styles = name == "restyle"  # whose parents give the style, and are of another class
    for label, parents in zip(first.labels, first.parents, strict=True):
        assert all((train.labels[parent] == label) != takes_styles for parent in parents)
    assert bool(first.generator) == method_class(name).trains_generator


@pytest.mark.parametrize("name", [name for name in method_names() if method_class(name).makes_files()])
@pytest.mark.parametrize("times", [0.5, 1.5])
def test_a_broken_number_of_times_reaches_every_class(name: str, times: float) -> None:
    grown = short(name).grow(easy_set([6, 6, 6, 6]), times, Key("one"))
    assert np.array_equal(np.bincount(grown.labels), [6 * times] * 4)


@pytest.mark.parametrize("times", [0.5, 1.5])
def test_the_placebo_copies_every_class_alike(times: float) -> None:
    copies = fitted("placebo", easy_set([6, 6, 6, 6]), times=times).extra
    assert copies is not None
    assert np.array_equal(copies.counts(), [6 * times] * 4)


@pytest.mark.parametrize("name", [name for name in method_names() if method_class(name).makes_files()])
def test_growing_makes_at_least_one_image(name: str) -> None:
    assert len(short(name).grow(easy_set([2, 1]), 0.1, Key("one")).images) == 1


def test_only_what_has_a_grow_of_its_own_makes_files() -> None:
    makes_files = {name: method_class(name).makes_files() for name in method_names()}
    assert makes_files["classical"]
    assert not makes_files["mixup"]
    for name, makes in makes_files.items():
        if not makes:
            with pytest.raises(NotImplementedError, match=f"{name} makes no image files"):
                short(name).grow(easy_set([2, 2]), 1, Key("one"))


@every_method
def test_what_changes_batches_says_so(name: str) -> None:
    recipe = fitted(name, easy_set([4, 4]))
    changes = bool(recipe.transforms) or recipe.objective is not None
    assert changes == method_class(name).changes_batches
    assert (recipe.init is not None and recipe.init.steps == 0) == method_class(name).takes_no_steps


@every_method
def test_a_classifier_reads_the_recipe(name: str) -> None:
    train = easy_set([4, 4, 1])
    recipe = fitted(name, train)
    classifier = train_classifier(train, None, recipe, Key("one"), SHORT)
    assert np.isfinite(classifier.probabilities(train.images)).all()
    assert classifier.details["extra_images"] == (len(recipe.extra) if recipe.extra else 0)


GENERATING = [name for name in method_names() if issubclass(method_class(name), GeneratorMethod)]


NOISY = [name for name in GENERATING if issubclass(vars(method_class(name))["generator_class"], NoiseGenerator)]
THREES = easy_set([3, 3])

every_generator = pytest.mark.parametrize("name", GENERATING)
from_noise = pytest.mark.parametrize("name", NOISY)
gans = pytest.mark.parametrize("name", [name for name in NOISY if hasattr(method_class(name).Config, "watch_every")])


def generator_method(name: str, **options: Any) -> GeneratorMethod:
    method = short(name, **options)
    assert isinstance(method, GeneratorMethod)
    return method


def bytes_of(weights: dict[str, Any]) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in weights.items()}


@every_generator
@pytest.mark.parametrize("counts", [[1, 1], [3, 3]])
@pytest.mark.parametrize("steps", [3, 30])
def test_a_training_that_explodes_is_told_and_never_used(name: str, steps: int, counts: list[int]) -> None:
    with pytest.raises(MethodFailed, match=f"{name}.*(NaN|no class has two images)"):
        # One image a class leaves nothing for a look at diversity to compare with.
        short(name, learning_rate=1e30, steps=steps, watch_every=10).grow(easy_set(counts), 4, Key("one"))


@every_generator
def test_drawn_anew_in_every_batch_it_changes_a_share_of_the_images(name: str) -> None:
    data = easy_set([6, 6])
    kept = {"least_swap_accuracy": 0.0} if name == "restyle" else {}
    method = generator_method(name, online=True, times=1, **kept)
    assert method.changes_batches
    recipe = method.fit(data, None, Key("one"))
    assert recipe.extra is None
    before, labels = batch_of(data)
    first, same = transformed(recipe, data)
    again, _ = transformed(method.fit(data, None, Key("one")), data)
    assert torch.equal(first, again)
    assert torch.equal(same, labels)
    moved = (first != before).flatten(1).any(1)
    assert 0 < moved.sum() < len(moved)
    assert first.abs().max() <= 1.0001
    assert not recipe.with_redraws(0).batch_transforms


@gans
def test_a_collapse_is_told_and_never_used(name: str) -> None:
    with pytest.raises(MethodFailed, match=f"{name}.*: collapsed"):
        generator_method(name, least_diversity=1e9).learn(easy_set([3, 3]), Key("one"))


@every_generator
def test_the_generator_kept_is_finite(name: str) -> None:
    grown = short(name).grow(easy_set([3, 3]), 1, Key("one"))
    assert all(np.isfinite(weights).all() for weights in grown.generator.weights().values())


@from_noise
def test_a_class_of_one_image_is_grown_too(name: str) -> None:
    grown = short(name).grow(easy_set([4, 1]), 3, Key("one"))
    assert np.array_equal(np.bincount(grown.labels), [12, 3])
    for label, parents in zip(grown.labels, grown.parents, strict=True):
        assert len(parents) in (0, 1)
        assert label == 0 or set(parents) <= {4}


class KilledAfter(Callback):
    """Ends a training after so many steps of all its parts."""

    def __init__(self, left: int) -> None:
        self.left = left

    def step(self, number: int, steps: int, losses: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("checkpoint_at_every_chance")
@every_generator
def test_a_training_killed_again_and_again_goes_on_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    train, checkpoint = easy_set([4, 3]), tmp_path / "checkpoint.safetensors"
    method, kills = generator_method(name, steps=6, watch_every=2), 0
    undisturbed = method.learn(train, Key("one"))
    while True:
        callbacks = [KilledAfter(3 + kills)]
        try:
            resumed = method.learn(train, Key("one"), TrainingLoop(callbacks=callbacks, checkpoint=checkpoint))
            break
        except KeyboardInterrupt:
            kills += 1
    assert kills == (3 if name == "dcgan" else 2), "it has two trainings, one a class"
    assert bytes_of(resumed.weights()) == bytes_of(undisturbed.weights())
    assert resumed.details == undisturbed.details


LOADED: list[tuple[str, tuple[int, int, int], dict[str, str]]] = [
    *((name, shape, {}) for name in GENERATING for shape in ((3, 16, 16), (1, 45, 45))),
    *(("dcgan", (1, 8, 8), {"classes": classes}) for classes in ("embedded", "none")),
    *((name, (1, 28, 28), {"preset": "article"}) for name in ("dcgan", "restyle")),
]


@pytest.mark.parametrize(("name", "shape", "options"), LOADED, ids=str)
def test_what_was_learned_says_from_what_and_is_loaded_into_another(
    name: str, shape: tuple[int, int, int], options: dict[str, str]
) -> None:
    train = easy_set([3, 2], shape)
    method = generator_method(name, **options)
    learned, empty = method.learn(train, Key("one")), method.generator(train)
    assert (learned.class_names, learned.class_counts) == (train.class_names, (3, 2))
    assert learned.image_shape == shape
    empty.load({key: torch.from_numpy(value.copy()) for key, value in learned.weights().items()})
    assert empty.hash == learned.hash
    first, second = (drawn(one, [0, 4], [1, 2], train) for one in (learned, empty))
    assert first.shape == (2, *shape)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cgan", {"steps": 120, "width": 4}),
        ("dcgan", {"steps": 80, "width": 6}),
        ("dcgan", {"steps": 80, "width": 6, "classes": "embedded"}),
        ("vae", {"steps": 150, "width": 6, "noise_size": 4}),
    ],
    ids=str,
)
def test_the_bands_of_easy_classes_are_learned(name: str, options: dict[str, Any]) -> None:
    train = easy_set([8, 8], noise=10)
    method = make_method(name, {"batch_size": 16, **options})
    assert isinstance(method, GeneratorMethod)
    chosen = np.repeat([0, 8], 20)
    images = drawn(method.learn(train, Key("one")), chosen, list(range(40)), train)
    means = np.stack([train.images[train.labels == label].mean(0) for label in range(2)])
    nearest = np.abs(images[:, None] - means).mean((2, 3, 4)).argmin(1)
    assert (nearest == train.labels[chosen]).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "images", "shape", "steps"),
    [
        *(("dagan", images, (1, 8, 8), steps) for images, steps in ((5, 150), (300, 375), (1700, 2000))),
        *(("vae", images, (1, 8, 8), steps) for images, steps in ((20, 400), (400, 750), (5000, 2000))),
        *(("restyle", images, (1, 2, 2), steps) for images, steps in ((100, 600), (3000, 1406), (60000, 2000))),
        *(("cgan", 2, (1, side, side), steps) for side, steps in ((14, 250), (15, 1000))),
    ],
)
def test_steps_follow_the_size_of_the_set_unless_they_are_given(
    name: str, images: int, shape: tuple[int, int, int], steps: int
) -> None:
    train = easy_set([images], shape)
    assert make_method(name).for_set(train).config.steps == steps
    assert make_method(name, {"steps": 7}).for_set(train).config.steps == 7


@every_generator
def test_a_walk_goes_from_one_end_to_the_other(name: str) -> None:
    train = easy_set([3, 3])
    learned = generator_method(name).learn(train, Key("one"))
    chosen, seeds = np.array([0, 5]), np.array([1, 2])
    ends = [learned.conditions(train, Key(end))(chosen, seeds) for end in ("first", "second")]
    rows = learned.between((ends[0], ends[1]), [0.0, 0.5, 1.0], Key("walk"), (1, 8, 8))
    assert rows.shape == (2, 3, 1, 8, 8)
    assert not np.array_equal(rows[:, 0], rows[:, 2])
    again = learned.between((ends[0], ends[1]), [0.0, 0.5, 1.0], Key("walk"), (1, 8, 8))
    assert np.array_equal(rows, again)


def drawn(generator: Generator, chosen: Any, seeds: list[int], real: ImageDataset = THREES) -> Any:
    conditions = generator.conditions(real, Key("drawing"))(np.array(chosen), np.array(seeds))
    return generator.sample(conditions, seeds, real.image_shape)


@from_noise
def test_a_seeds_image_does_not_depend_on_its_batch(name: str) -> None:
    learned = generator_method(name).learn(THREES, Key("one"))
    chosen, seeds = [index % 6 for index in range(70)], list(range(1000, 1070))
    together = drawn(learned, chosen, seeds)
    assert together.shape == (70, 1, 8, 8)
    assert np.array_equal(drawn(learned, chosen[::-1], seeds[::-1])[::-1], together)
    for index in (0, 63, 64, 69):
        assert np.array_equal(drawn(learned, [chosen[index]], [seeds[index]])[0], together[index])
    others = drawn(learned, chosen, [seed + 5000 for seed in seeds])
    assert not np.array_equal(others, together)


@from_noise
def test_truncation_narrows(name: str) -> None:
    learned, spreads = generator_method(name).learn(THREES, Key("one")), []
    usual = learned.config
    for bound in (8.0, 0.3, usual.truncation):
        learned.config = dataclasses.replace(usual, truncation=bound)
        spreads.append(drawn(learned, [0] * 64, list(range(64))).std(0).mean())
    wide, narrow, usual_spread = spreads
    assert narrow < 0.7 * wide
    assert narrow < usual_spread <= 1.05 * wide


@every_generator
def test_growing_writes_nothing_by_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short(name).grow(easy_set([3, 3]), 1, Key("one"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_dropped_into_the_folder_is_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brighter.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import dataclass
            from tenfold import methods
            from tenfold.training.recipe import Recipe

            @dataclass(frozen=True)
            class Config:
                by: float = 0.5

            class Method(methods.Method):
                Config = Config

                def fit(self, train, reserve, key):
                    by = self.config.by
                    return Recipe(transforms=(lambda x, y, g: ((x + by).clamp(-1, 1), y),))
            """
        )
    )
    monkeypatch.setattr(tenfold.methods, "__path__", [*tenfold.methods.__path__, str(tmp_path)])
    try:
        assert "brighter" in method_names()
        method = make_method("brighter", {"by": "0.25"})
        assert (method.name(), method.config.by) == ("brighter", 0.25)
        recipe = method.fit(easy_set([2]), None, Key("one"))
        assert transformed(recipe, easy_set([2]))[0].mean() > batch_of(easy_set([2]))[0].mean() + 0.2
        with pytest.raises(InputError, match="Did you mean 'brighter'"):
            make_method("brigther")
    finally:
        sys.modules.pop("tenfold.methods.brighter", None)
        vars(tenfold.methods).pop("brighter", None)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"there is no method 'mixpu'\. Did you mean 'mixup'"):
        make_method("mixpu")
    with pytest.raises(InputError, match="there is no method 'base'"):
        make_method("base")


def test_children_share_the_group_of_their_first_parent() -> None:
    train = easy_set([2, 2], groups=[3, 3, 7, 8])
    grown = Grown(train.images[:3], train.labels[:3], parents=((2, 0), (), ()), seeds=(0, 1, 2))
    groups = grown.as_dataset(train).groups
    assert groups[0] == 7
    assert len({*groups[1:], *train.groups}) == 5, "images of no parent are strangers to all"


def test_recipes_add_up_in_order_and_refuse_two_of_what_can_be_only_one() -> None:
    def one(images: Any, labels: Any, generator: Any) -> Any:
        return images, labels

    def two(images: Any, labels: Any, generator: Any) -> Any:
        return images, labels

    first, second = easy_set([1, 1], key="first"), easy_set([2, 1], key="second")
    both = Recipe(first, (one,), details={"a": 1}) + Recipe(second, (two,), details={"b": 2})
    assert both.transforms == (one, two)
    assert both.extra is not None
    assert len(both.extra) == 5
    assert both.details == {"a": 1, "b": 2}
    assert (Recipe() + Recipe(first)).extra is first
    assert (Recipe(first) + Recipe()).extra is first
    start = Start(lambda train, validation, key: build(lambda: SmallConvNet((1, 8, 8), 2), key.torch_generator()))
    assert (Recipe(init=start) + Recipe(first)).init is start
    with pytest.raises(InputError, match="a network to begin with"):
        Recipe(init=start) + Recipe(init=start)
    loss = Recipe(objective=plain_objective)
    with pytest.raises(InputError, match="a loss of their own"):
        loss + loss
