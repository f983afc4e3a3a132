"""Every method's training step on another device.

Without a GPU torch's `meta` device stands for one: a tensor left on the CPU, an `.item()`, a look at a value and a
copy to the host all raise there. Indices on the CPU do not, nor does a product of matrices on two devices.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_contract import a_related_set, every_method, fitted, short_source_training

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.training.classifier import ClassifierStep, ClassifierTask, train_classifier
from tenfold.training.device import Device, using

__all__ = ["a_related_set", "short_source_training"]


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
