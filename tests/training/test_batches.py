from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.training import batches
from tenfold.training.batches import ImagePool, PlannedBatches, as_floats, as_tensor, with_views
from tenfold.training.device import Device
from tenfold.training.recipe import Recipe, Start, standard_augmentation
from tenfold.training.schedule import draw_plan

IMAGES = np.arange(7 * 3 * 4 * 4, dtype=np.uint8).reshape(7, 3, 4, 4)
ROWS = ImageRows((IMAGES[:4], IMAGES[4:]))


@pytest.mark.parametrize("chosen", [[2, 2, 6], [0, 1, 2], []])
def test_a_batch_is_of_the_chosen_images_and_none_of_the_arrays_changes_with_it(chosen: list[int]) -> None:
    before = IMAGES.copy()
    batch = ImagePool(ROWS, Device()).at(torch.tensor(chosen, dtype=torch.int64))
    assert np.array_equal(batch.numpy(), IMAGES[chosen])
    batch.add_(1)
    assert np.array_equal(IMAGES, before)


def test_rows_of_a_mapped_file_become_tensors_of_their_own() -> None:
    mapped = IMAGES.copy()
    mapped.flags.writeable = False
    as_tensor(mapped, slice(0, 3)).add_(1)
    assert np.array_equal(mapped, IMAGES)


def test_on_a_gpu_images_live_there_while_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, meta = torch.tensor([1, 5]), Device("meta")
    monkeypatch.setattr(Device, "free_bytes", lambda self: 4 * IMAGES.nbytes)
    assert ImagePool(ROWS, meta).resident is not None
    assert ImagePool(ROWS, meta).at(chosen).is_meta
    monkeypatch.setattr(Device, "free_bytes", lambda self: 4 * IMAGES.nbytes - 1)
    assert ImagePool(ROWS, meta).resident is None
    assert ImagePool(ROWS, meta).at(chosen).is_meta


@pytest.mark.parametrize("values", [1, 100, 10**6])
def test_floats_are_the_same_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    monkeypatch.setattr(batches, "CHUNK_VALUES", values)
    whole = to_float(torch.tensor(IMAGES))
    assert torch.equal(as_floats(ROWS), whole)
    assert torch.equal(as_floats(ROWS, lambda images: F.avg_pool2d(images, 2)), F.avg_pool2d(whole, 2))


def test_views_are_the_same_whenever_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data = easy_set([4, 3], (3, 8, 8))
    monkeypatch.setattr(batches, "VALUES_OF_VIEWS", 3 * 3 * 16 * 16)  # three at a time

    def noisy(images, labels, generator):
        return images + torch.rand(images.shape, generator=generator), labels

    start = Start(lambda *_: None, views=2, side=16)
    recipe, key = Recipe(transforms=(noisy, noisy), init=start), Key("views")
    views = with_views(data, recipe, key)
    assert views.labels.tolist() == data.labels.tolist() * 3
    assert views.groups.tolist() == data.groups.tolist() * 3
    whole = views.rows[:]
    assert whole.shape == (21, 3, 16, 16)
    assert np.array_equal(views.rows[[20, 2, 9]], whole[[20, 2, 9]])
    assert not np.array_equal(whole[7:14], whole[14:])
    assert (whole[7:14] >= whole[:7]).all()
    assert np.array_equal(with_views(data, recipe, key).images, whole)
    same = with_views(data, replace(recipe, init=replace(start, side=None)), key)
    assert np.array_equal(same.images[:7], data.images)
    for none in (Recipe(init=start), Recipe(transforms=(noisy,)), replace(recipe, init=Start(lambda *_: None))):
        assert with_views(data, none, key) is data


@pytest.mark.parametrize("side", [8, 28])
def test_batches_that_are_made_ahead_are_those_of_their_steps(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    train, steps = easy_set([10, 10], (1, side, side)), 21
    plan = draw_plan(train.labels, 2, steps, 16, 10.0, Key("plan").torch_generator())

    def planned() -> PlannedBatches:
        targets = torch.eye(2)[torch.tensor(train.labels)]
        random = Key("transforms").torch_generator()
        return PlannedBatches(ImagePool(train.rows, Device("cpu")), targets, plan, standard_augmentation(), random)

    ahead = planned()
    made = [ahead.of_step(number, steps) for number in range(steps)]
    assert not ahead.ready, "none is made for a step that does not come"
    monkeypatch.setattr(batches, "MOST_AHEAD", 1)
    alone = planned()
    for number, (images, soft) in enumerate(made):
        expected = alone.of_step(number, steps)
        assert torch.equal(images, expected[0])
        assert torch.equal(soft, expected[1])
        assert torch.equal(soft.argmax(1), torch.tensor(train.labels)[plan[number]])
    assert ahead.ahead > alone.ahead or side == 8
