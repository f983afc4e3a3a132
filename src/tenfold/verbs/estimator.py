"""`tenfold.Classifier`: an arm as a scikit-learn estimator, for arrays of images or rows of numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.images import choose_side, resize_to_squares
from tenfold.runs.arms import parse_arm
from tenfold.runs.default_arms import baseline_for
from tenfold.runs.plan import ArmConfig, classifier_for
from tenfold.runs.preparation import LARGE_SIDE
from tenfold.runs.trial import ArmImages, train_arm
from tenfold.training.calibration import fit_temperature
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.distributed import current_ranks
from tenfold.verbs import on_all_devices


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """What `tenfold run` would train with one arm, in scikit-learn's manner.

    Images are uint8, N x H x W, N x H x W x C or N x C x H x W with 1 or 3 channels, and are brought to squares; rows
    of numbers, N x F, are standardised. A share of the images is kept back, to choose the weights by and to calibrate
    the probabilities.

    Args:
        arm: as in `tenfold prove`: `classical`, `classical+mixup`, `probe`, ... `auto` is the usual baseline, of
            images `classical`, of rows `raw`.
        steps: of the training; chosen by the size of the images unless given.
        size: side of the images in training; by their own, 64 at most, unless given. Pre-trained networks read up to
            224 pixels, where there are so many.
        validation_fraction: of the images that are kept back.
        random_state: names all random draws, as in scikit-learn.
        device: `auto`, `cpu`, `cuda`, ...

    Attributes:
        classes_: K, the labels that were met.
        classifier_: the `TrainedClassifier`.
        n_features_in_: the second number of the shape of X.
    """

    def __init__(
        self,
        arm: str = "auto",
        *,
        steps: int | None = None,
        size: int | None = None,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
    ) -> None:
        self.arm = arm
        self.steps = steps
        self.size = size
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803  # scikit-learn's name
        """Train.

        Raises:
            ValueError: X or y is of no such form, or y names one class alone.
            InputError: there is no such arm or device.
        """
        X, y = validate_data(self, X, y, allow_nd=True, dtype=None)  # noqa: N806
        check_classification_targets(y)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y names one class, {self.classes_[0]!r}, and there is nothing to tell it from")
        longest = max(_shape_of(X)) if X.ndim > 2 else 0
        side = choose_side([longest], self.size)
        data = ImageDataset.of_arrays("array", _readable(X, side), labels, tuple(map(str, self.classes_)))
        usual = baseline_for(data)
        arm = parse_arm(usual if self.arm == "auto" else self.arm, usual)
        if arm.start and longest > side:
            data = data.with_large(ImageRows((_readable(X, min(LARGE_SIDE, longest)),)))
        config = classifier_for(data)
        config = config if self.steps is None else replace(config, steps=self.steps)
        drawn = int(check_random_state(self.random_state).randint(2**31))

        @on_all_devices
        def trained(*, device: str) -> tuple[TrainedClassifier, ImageDataset | None]:
            seed = current_ranks().agreed(drawn)
            train, validation = self._parts(data, seed)
            images = ArmImages(train, validation, None)
            return train_arm(
                ArmConfig(arm, 1.0, config), images, Key(f"seed-{seed}/estimator")
            ).classifier, validation

        classifier, validation = trained(device=self.device)
        if validation is not None:
            told = classifier.probabilities(validation.rows)
            classifier = replace(classifier, temperature=fit_temperature(told, validation.labels))
        self.classifier_ = classifier
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """N x K, calibrated, in the order of `classes_`."""
        check_is_fitted(self, "classifier_")
        X = validate_data(self, X, allow_nd=True, dtype=None, reset=False)  # noqa: N806
        if (X.ndim > 2) == self.classifier_.reads_vectors:
            raise ValueError(f"X has {X.ndim} dimensions, unlike the X that was learned from")
        images = _readable(X, self.classifier_.image_shape[1])
        probabilities: npt.NDArray[np.float32] = self.classifier_.probabilities(images)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """N of `classes_`."""
        probabilities = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[probabilities.argmax(1)]
        return labels

    def _parts(self, data: ImageDataset, seed: int) -> tuple[ImageDataset, ImageDataset | None]:
        """What is learned from, and what is kept back; nothing where a class has too few for it."""
        kept = round(self.validation_fraction * len(data))
        if kept < data.class_count or data.counts().min() < 2:
            return data, None
        every = np.arange(len(data))
        inside, outside = train_test_split(every, test_size=kept, stratify=data.labels, random_state=seed)
        return data.take(np.sort(inside)), data.take(np.sort(outside))


def _shape_of(images: npt.NDArray[Any]) -> tuple[int, int]:
    """Height and width."""
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        return images.shape[2], images.shape[3]
    return images.shape[1], images.shape[2]


def _readable(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """uint8 N x C x side x side, or float32 N x F x 1 x 1.

    Raises:
        ValueError: it is neither.
    """
    if values.ndim == 2:
        return np.asarray(values, np.float64).astype(np.float32)[:, :, np.newaxis, np.newaxis]
    if values.dtype != np.uint8:
        raise ValueError(f"images are uint8 of 0..255, not {values.dtype}; X of 2 dimensions is rows of numbers")
    if values.ndim == 4 and values.shape[3] not in (1, 3):
        values = np.moveaxis(values, 1, 3)
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] not in (1, 3)):
        raise ValueError(
            f"images are N x H x W, or with 1 or 3 channels N x H x W x C or N x C x H x W: {values.shape}"
        )
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    images = [DecodedImage(one) for one in values]
    return resize_to_squares(images, [max(values.shape[1:3])] * len(images), side)[0]
