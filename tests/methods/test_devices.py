"""Every method's training step on another device.

Without a GPU torch's `meta` device stands for one: a tensor left on the CPU, an `.item()`, a look at a value and a
copy to the host all raise there. Indices on the CPU do not, nor does a product of matrices on two devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from test_contract import (
    a_related_set,
    every_generator,
    every_method,
    fitted,
    generator_method,
    short,
    short_source_training,
)  # fmt: skip
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from made_up_sets import SHORT, easy_set
from tenfold import generators
from tenfold.core.keys import Key
from tenfold.generators import Conditions, gates
from tenfold.generators.autoencoder import fader_start
from tenfold.generators.gates import ProbeStep
from tenfold.methods import method_class
from tenfold.networks.blocks import empty
from tenfold.training.classifier import ClassifierConfig, ClassifierStep, ClassifierTask, begin, train_classifier
from tenfold.training.device import Device, using
from tenfold.training.step import Step

__all__ = ["a_related_set", "short_source_training"]


class NoDoubles(TorchDispatchMode):
    """The GPUs of Macs have no float64."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        made = function(*arguments, **(keywords or {}))
        for value in tree_leaves(made):
            assert not (isinstance(value, torch.Tensor) and value.is_meta and value.dtype == torch.float64), function
        return made


@pytest.fixture(autouse=True)
def no_doubles() -> Iterator[None]:
    with NoDoubles():
        yield


@every_method
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 45, 45)], ids=str)
def test_what_a_method_gives_is_learned_from_on_the_device(name: str, shape: tuple[int, int, int]) -> None:
    train = easy_set([8, 8], shape)
    recipe = fitted(name, train)
    step = ClassifierStep(ClassifierTask(train, None, recipe, Key("one"), SHORT), 0, Device("meta"))
    for number in range(2):
        losses = step.step(number)
        assert all(loss.is_meta for loss in losses.values())
    assert all(value.is_meta for value in step.network.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@every_method
def test_a_gpu_gives_a_classifier_too(name: str) -> None:
    train = easy_set([8, 8])
    with using(Device.chosen("cuda")) as device:
        trained = train_classifier(train, train, fitted(name, train), Key("one"), SHORT)
        rows = trained.probabilities(train.images)
    assert trained.details["device"] == device.description
    assert next(trained.network.parameters()).is_cuda
    assert np.isfinite(rows).all()


def stays(step: Step, steps: int = 4) -> bool:
    return all(loss.is_meta for number in range(steps) for loss in step.step(number).values())


@pytest.mark.parametrize("options", [{}, {"loss": "wasserstein", "variety": 1.0}], ids=str)
@every_generator
def test_a_generator_is_trained_on_the_device(name: str, options: dict[str, Any]) -> None:
    train = easy_set([8, 8], (1, 16, 16))
    # The first weights of `paper` take 20 seconds to draw.
    for preset in sorted({*method_class(name).PRESETS, ""} - {"paper"}):
        generator = generator_method(name, **options, **({"preset": preset} if preset else {})).generator(train)
        assert stays(generator.start(train, Key("one"), Device("meta"))(0))


@every_generator
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 45, 45)], ids=str)
def test_images_are_made_on_the_device(
    name: str, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_copy(images: torch.Tensor) -> np.ndarray:
        assert images.is_meta, "all of it was done there"
        return np.zeros(images.shape, np.uint8)

    for module in (generators, gates):
        monkeypatch.setattr(module, "to_uint8", last_copy)
    train = easy_set([2, 2], shape)
    generator = generator_method(name).generator(train)
    generator.network = empty(generator.make_network).eval().to("meta")
    if name == "restyle":
        labels = torch.tensor(train.labels)
        conditions = Conditions((torch.zeros(4, generator.config.code_size), labels), ((),) * 4)
    else:
        conditions = generator.conditions(train, Key("one"))(np.arange(4), np.arange(4))
    assert generator.sample(conditions, range(4), shape).shape == (4, *shape)
    assert generator.between((conditions, conditions), [0.0, 1.0], Key("walk"), shape).shape == (4, 2, *shape)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@every_generator
def test_a_generator_learns_and_draws_on_a_gpu(name: str) -> None:
    train = easy_set([6, 6])
    with using(Device.chosen("cuda")):
        grown = generator_method(name).grow(train, 1, Key("one"))
    assert grown.generator is not None
    assert grown.generator.device.type == "cuda"
    assert np.isfinite(list(map(np.sum, grown.generator.weights().values()))).all()
    assert len(grown.images) == 12


@pytest.mark.parametrize("options", [{}, {"target": "article"}, {"dropout": 0.2, "readers": 2}], ids=str)
def test_an_autoencoder_is_trained_on_the_device(options: dict[str, Any]) -> None:
    train = easy_set([8, 8])
    config = short("restyle", **options).config
    guide = begin(train, None, None, Key("guide"), ClassifierConfig(width=4))
    assert stays(fader_start(train, config, Key("one"), guide, Device("meta"))(0))


def test_the_gates_probe_is_trained_on_the_device() -> None:
    codes = torch.zeros(8, 3), np.arange(8) % 2
    assert stays(ProbeStep(codes, 4, Key("one"), Device("meta")))
