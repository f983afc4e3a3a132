from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from made_up_sets import SHORT, easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import make_method
from tenfold.networks import pretrained
from tenfold.networks.backbone_classifier import BackboneNet
from tenfold.networks.blocks import build
from tenfold.networks.convnet import Backbone, ResidualNet
from tenfold.runs.arms import parse_arms
from tenfold.training import backbone_start, linear_probe
from tenfold.training.classifier import train_classifier
from tenfold.training.classifier_io import load_classifier, save_classifier

KEY = Key("backbone methods")


@pytest.fixture(autouse=True)
def short_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(backbone_start, "SOURCE_TRAINING", SHORT)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return written(tmp_path / "source.npz", easy_set([12, 12, 12, 12], (1, 16, 16), key="source"))


def written(path: Path, data: ImageDataset) -> str:
    np.savez(path, images=data.images[:, 0], labels=data.labels)
    return str(path)


def trained(name: str, train: ImageDataset, **options: object):
    recipe = make_method(name, options).fit(train, None, KEY)
    return train_classifier(train, train, recipe, KEY, SHORT), recipe


def accuracy(classifier, data: ImageDataset) -> float:
    return float((classifier.probabilities(data.images).argmax(1) == data.labels).mean())


def test_a_head_on_a_related_network_recognises_what_is_easy(source: str) -> None:
    train, fresh = easy_set([4, 4, 4]), easy_set([40, 40, 40], key="fresh")
    classifier, _ = trained("probe", train, source=source)
    assert isinstance(classifier.network, BackboneNet)
    assert accuracy(classifier, fresh) > 0.9
    assert classifier.details["steps"] == 0


def test_fine_tuning_moves_the_backbone_and_the_head_alone_does_not(source: str) -> None:
    train = easy_set([6, 6])
    tuned, recipe = trained("transfer", train, source=source, steps=4, batch_size=8, fewest=1)
    head_alone, few = trained("transfer", train, source=source, steps=4, batch_size=8, fewest=7)
    assert (recipe.details["fine_tuned"], few.details["fine_tuned"]) == (True, False)
    before = trained("probe", train, source=source)[0].network.trunk.weights_hash()
    assert head_alone.network.trunk.weights_hash() == before
    assert tuned.network.frozen is False
    assert tuned.details["kept_step"] in (0, 2, 4)
    assert tuned.inner_score >= head_alone.inner_score


@pytest.mark.parametrize("name", ["probe", "transfer"])
def test_a_kept_classifier_says_the_same_again(name: str, source: str, tmp_path: Path) -> None:
    train = easy_set([6, 6], (3, 10, 10))
    classifier, _ = trained(name, train, source=source, **({"steps": 2, "fewest": 1} if name == "transfer" else {}))
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, classifier, {"arm": name})
    again = load_classifier(path)
    assert np.array_equal(again.probabilities(train.images), classifier.probabilities(train.images))


def test_what_lies_outside_enters_the_plan(source: str, tmp_path: Path) -> None:
    (arm,) = parse_arms([f"probe(source={source})"], baseline=f"probe(source={source})")
    before = arm.external_fingerprint()
    written(Path(source), easy_set([12, 12], (1, 16, 16), key="other"))
    assert before != arm.external_fingerprint() != ""
    (plain,) = parse_arms("classical")
    assert plain.external_fingerprint() == ""


@pytest.mark.parametrize("name", ["probe", "transfer"])
def test_a_source_must_be_able_to_teach(name: str, tmp_path: Path) -> None:
    single = written(tmp_path / "single.npz", easy_set([9]))
    with pytest.raises(InputError, match="images of two classes or more"):
        trained(name, easy_set([3, 3]), source=single)


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(InputError, match=r"pip install 'tenfold\[weights\]'"):
        trained("probe", easy_set([3, 3]))


@pytest.mark.parametrize("mixing", ["mixup", "label_smoothing", "augmix"])
def test_a_probe_takes_no_change_of_labels_or_loss_beside_it(mixing: str) -> None:
    with pytest.raises(InputError, match=rf"probe fits a head to labels as they are.*or {mixing}\+transfer"):
        parse_arms(f"{mixing}+probe")
    assert parse_arms(f"{mixing}+transfer")


def test_a_head_is_fitted_to_views_that_augmentation_makes(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    train, fitted = easy_set([5, 5]), []

    def fit_head(features, labels, validation, class_count, groups, key):
        fitted.append((len(features), np.bincount(labels).tolist(), groups.tolist()))
        return linear_probe.fit_head(features, labels, validation, class_count, groups, key)

    monkeypatch.setattr(backbone_start, "fit_head", fit_head)
    recipe = make_method("classical", {"policy": "standard"}).fit(train, None, KEY)
    recipe += make_method("probe", {"source": source}).fit(train, None, KEY)
    plain, _ = trained("probe", train, source=source)
    fitted.clear()
    grown = train_classifier(train, train, recipe, KEY, SHORT)
    assert fitted == [(50, [25, 25], train.groups.tolist() * 5)]
    assert not np.array_equal(plain.probabilities(train.images), grown.probabilities(train.images))
    again = train_classifier(train, train, recipe, KEY, SHORT)
    assert np.array_equal(again.probabilities(train.images), grown.probabilities(train.images))


def test_validation_images_choose_between_the_networks_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "available", lambda name: True)
    usual = {"backbone": ("lite2", "imagenet"), "side": ("224", "160"), "mirror": ("no", "yes")}
    assert make_method("probe").search_space() == usual
    assert make_method("probe", {"backbone": "lite2", "side": "96"}).search_space() == {"mirror": ("no", "yes")}
    monkeypatch.setattr(pretrained, "available", lambda name: name == "imagenet")
    assert make_method("probe").search_space()["backbone"] == ("imagenet",)


def test_two_networks_to_begin_with_are_refused(source: str) -> None:
    both = make_method("probe", {"source": source}).fit(easy_set([2, 2]), None, KEY)
    with pytest.raises(InputError, match="a network to begin with"):
        both + make_method("classifier").fit(easy_set([2, 2]), None, KEY)


def test_mirror_images_teach_the_head(source: str) -> None:
    train = easy_set([5, 5])
    plain, both = (trained("probe", train, source=source, mirror=mirror)[0] for mirror in ("no", "yes"))
    assert not np.array_equal(plain.probabilities(train.images), both.probabilities(train.images))
    mirrored = train.images[..., ::-1].copy()
    np.testing.assert_allclose(both.network.scale.mean, _mean(both, np.concatenate([train.images, mirrored])), 1e-4)


def _mean(classifier, images):
    from tenfold.training.feature_cache import backbone_features

    return backbone_features(classifier.network.trunk, images).mean(0)


def test_the_width_is_the_networks() -> None:
    for width in (3, 10):
        classifier, _ = trained("classifier", easy_set([4, 4]), width=width)
        assert classifier.network.width == width
    colour, _ = trained("classifier", easy_set([4, 4], (3, 24, 24)), width=5)
    assert isinstance(colour.network, ResidualNet), "the network that a study of such images has"
    assert make_method("classifier").search_space() == {"width": ("24", "12", "6", "48")}
    assert make_method("classifier", {"width": "12"}).search_space() == {}


class TwoLayers(Backbone):
    """A backbone of two layers, of which the first stays as it came."""

    feature_count = 6

    def __init__(self) -> None:
        super().__init__()
        layers = build(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3)), KEY.torch_generator())
        self.first, self.second = layers

    def forward(self, images):
        return self.second(self.first(images).relu()).mean((2, 3))

    def first_layers(self):
        return (self.first,)

    def description(self):
        return {"kind": "two layers"}


def test_fine_tuning_leaves_the_first_layers_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_start, "backbone_named", lambda name, side: TwoLayers())
    train = easy_set([6, 6])
    recipe = make_method("transfer", {"steps": "3", "batch_size": "8", "fewest": "1"}).fit(train, None, KEY)
    trunk, before = train_classifier(train, None, recipe, KEY, SHORT).network.trunk, TwoLayers()
    assert torch.equal(trunk.first.weight, before.first.weight)
    assert not torch.equal(trunk.second.weight, before.second.weight)
