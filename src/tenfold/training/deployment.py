"""A classifier as one graph for programs without tenfold: raw values in, calibrated probabilities out.

What networks are handed elsewhere in this package, floats in [-1, 1] with the channels first, is made inside, and so
is whatever a backbone makes of that. Images are to come as squares of the classifier's side.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenfold.core.errors import InputError, TenfoldError
from tenfold.training.classifier import TrainedClassifier

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "input", "probabilities"
LEAST_PROBABILITY = 1e-37
"""What float32 holds; its logarithm is finite."""


class Deployed(nn.Module):
    """uint8 N x H x W x C, or vectors float32 N x F -> calibrated probabilities N x K."""

    def __init__(self, classifier: TrainedClassifier) -> None:
        super().__init__()
        self.network = classifier.network.eval()
        self.reads_vectors, self.mirrored = classifier.reads_vectors, classifier.mirrored
        self.temperature = classifier.temperature

    def forward(self, values: Tensor) -> Tensor:
        if self.reads_vectors:
            return torch.softmax(self.network(values[:, :, None, None]) / self.temperature, dim=1)
        batch = values.permute(0, 3, 1, 2).float() * (2 / 255) - 1
        logits = self.network(batch)
        if self.mirrored:
            both = torch.softmax(logits, 1) + torch.softmax(self.network(batch.flip(3)), 1)
            logits = (both / 2).clamp(min=LEAST_PROBABILITY).log()
        return torch.softmax(logits / self.temperature, dim=1)


def as_input(classifier: TrainedClassifier, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The classifier's own N x C x H x W, or N x F x 1 x 1, as the graph reads them."""
    return images[:, :, 0, 0] if classifier.reads_vectors else np.ascontiguousarray(np.moveaxis(images, 1, 3))


def traced(classifier: TrainedClassifier) -> torch.export.ExportedProgram:
    """The graph, for any number of images at once.

    Raises:
        TenfoldError: the network, one of a hub, cannot be traced.
    """
    kind = np.float32 if classifier.reads_vectors else np.uint8
    example = torch.from_numpy(as_input(classifier, np.zeros((2, *classifier.image_shape), kind)))
    any_number = ({0: torch.export.Dim.DYNAMIC},)
    with _told_as("cannot be traced"):
        return torch.export.export(Deployed(classifier).cpu(), (example,), dynamic_shapes=any_number)


def as_pt2(program: torch.export.ExportedProgram) -> bytes:
    """The graph in the format of torch.export, with its weights."""
    file = io.BytesIO()
    with _told_as("cannot be saved"):
        torch.export.save(program, file)
    return file.getvalue()


def as_onnx(program: torch.export.ExportedProgram, metadata: Mapping[str, Any]) -> bytes:
    """The graph as ONNX, with its weights and what is to be known of it, as JSON.

    Raises:
        InputError: the extra `onnx` is not installed.
        TenfoldError: ONNX has no counterpart for a part of the network.
    """
    require_onnx()
    onnx = importlib.import_module("onnx")
    with _told_as("cannot be written as ONNX"):
        exported = torch.onnx.export(program, dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT])
        assert exported is not None
        model = exported.model_proto
        onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
        onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def pt2_probabilities(content: bytes, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What the graph in the format of torch.export says of these values."""
    with torch.inference_mode():
        told: Tensor = torch.export.load(io.BytesIO(content)).module()(torch.from_numpy(values))
    return told.numpy()


def onnx_probabilities(content: bytes, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What the graph says of these values, in ONNX Runtime on the processor."""
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    told: npt.NDArray[np.float32] = session.run([OUTPUT], {INPUT: values})[0]
    return told


def require_onnx() -> None:
    """
    Raises:
        InputError: the extra `onnx` is not installed.
    """
    if missing := [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(f"ONNX needs {' and '.join(missing)}: pip install 'tenfold[onnx]'")


@contextlib.contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Whatever the exporter meets in a network is one line; what it prints and warns of is not shown."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise TenfoldError(f"this network {what}: {' '.join(str(error).split())[:300]}") from error
    finally:
        logger.setLevel(level)
