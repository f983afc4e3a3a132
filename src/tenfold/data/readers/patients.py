"""The patients that DICOM files name: groups that nobody had to write down."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenfold.data.decoding.medical import DICOM_SUFFIXES, SIGN_AT, is_dicom, patient_of
from tenfold.data.readers import Manifest, index_labels

BY_PATIENT = "of the patients that DICOM files name (PatientID): all of one patient stay in one fold"
SAME_PATIENT = "in DICOM files that all name one patient (PatientID), taken as of a patient each: check that they are"
UNNAMED = "in no file that names a patient (PatientID), while others do: taken as of a patient each"
DOUBTS = (SAME_PATIENT, UNNAMED)
"""Of `ImageDataset.conversions`: what deserves a warning."""


def by_patient(manifest: Manifest, root: Path) -> Manifest:
    """The images grouped by the patients that DICOM files name, where nothing else says what the groups are."""
    if len(np.unique(manifest.groups)) < len(manifest.groups) or manifest.group_names:
        return manifest
    patients = [_patient(root / source) for source in manifest.sources]
    images_of = Counter(filter(None, patients))
    if not images_of:
        return manifest
    if len(images_of) == 1 and len(patients) > 1:
        return replace(manifest, conversions={SAME_PATIENT: images_of.total(), **manifest.conversions})
    alone = [patient or f"/{source}" for patient, source in zip(patients, manifest.sources, strict=True)]
    notes = {BY_PATIENT: images_of.total(), UNNAMED: len(patients) - images_of.total()}
    return replace(
        manifest,
        groups=index_labels(alone)[1],
        group_names=tuple(alone),
        conversions={**{what: count for what, count in notes.items() if count}, **manifest.conversions},
    )


def _patient(path: Path) -> str:
    """The patient that a file names; empty where it is no DICOM file, or names none."""
    suffix = path.suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return patient_of(path)
    if suffix:
        return ""
    try:
        with path.open("rb") as file:
            return patient_of(path) if is_dicom(file.read(SIGN_AT + 4)) else ""
    except OSError:  # set aside when it is decoded, with the reason
        return ""
