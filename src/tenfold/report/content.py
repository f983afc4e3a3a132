"""What a report is made of: the page shows these and computes nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.evaluation import Verdict


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table of pictures with words at its edges."""

    title: str
    caption: str
    images: npt.NDArray[np.uint8]
    """Rows x columns x C x H x W, C = 1 (grey) or 3 (RGB)."""
    row_labels: Sequence[str] = ()
    """One a row, or none at all."""
    column_labels: Sequence[str] = ()
    """One a column, or none at all."""

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 5 or self.images.shape[2] not in (1, 3):
            found = f"{self.images.dtype} {self.images.shape}"
            raise ValueError(f"a sheet is uint8 rows x columns x (1|3) x H x W, not {found}")
        for side, words, length in (
            ("row", self.row_labels, self.images.shape[0]),
            ("column", self.column_labels, self.images.shape[1]),
        ):
            if len(words) not in (0, length):
                raise ValueError(f"{len(words)} {side} labels for {length} {side}s")


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything that one report tells."""

    data_name: str
    verdict: Verdict | None
    """None for a set that was not evaluated; `warnings` then say why."""
    class_names: Sequence[str]
    audit: Mapping[str, Any]
    """images, counts {class: n}, image_shape, set_aside [{source, reason}], conversions {what: n}, and lists
    of words: actions, warnings. Whatever is missing is left out of the page."""
    sheets: Sequence[Sheet]
    command: str
    """What repeats the run, as typed into a shell."""
    config: Mapping[str, Any]
    """Settings by name; `seed` is also named in the text."""
    final_classifier: Mapping[str, Any] | None = None
    duration_seconds: float | None = None
    warnings: Sequence[str] = ()
    arm_notes: Mapping[str, str] = field(default_factory=dict)
    """A few words under an arm's name: {"placebo": "control: the same images again"}."""
    stop_below: float = 0.001
    """The p-value at which a planned look ended the study."""
