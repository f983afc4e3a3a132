from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.training import batches
from tenfold.training.batches import ImagePool, as_floats, as_tensor, views_of
from tenfold.training.device import Device

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
    monkeypatch.setattr(batches, "VALUES_OF_VIEWS", 3 * 3 * 8 * 8)  # three at a time

    def noisy(images, labels, generator):
        return images + torch.rand(images.shape, generator=generator), labels

    views = views_of(data, (noisy, noisy), 2, Key("views"))
    assert views.labels.tolist() == data.labels.tolist() * 2
    assert views.groups.tolist() == data.groups.tolist() * 2
    whole = views.rows[:]
    assert np.array_equal(views.rows[[13, 2, 7]], whole[[13, 2, 7]])
    assert not np.array_equal(whole[:7], whole[7:])
    assert (whole[:7] >= data.images).all()
    assert np.array_equal(views_of(data, (noisy, noisy), 2, Key("views")).images, whole)
    same = views_of(data, (lambda images, labels, generator: (images, labels),), 1, Key("views"))
    assert np.array_equal(same.images, data.images)
