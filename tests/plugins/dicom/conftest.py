"""A writer of DICOM series as MRI scanners store them, and a folder of heads to learn from."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from scipy.ndimage import gaussian_filter

AXIAL = (1, 0, 0, 0, 1, 0)


def uid_of(name):
    return UID(f"1.2.826.0.1.3680043.8.498.{int.from_bytes(str(name).encode(), 'big')}"[:64])


@pytest.fixture(scope="session")
def write_slice():
    """Write ``pixels`` (H, W) as one MR image; ``None`` leaves an attribute out."""
    written = {}  # many tests write the same heads

    def write(path, pixels, **attributes):
        pixels = np.asarray(pixels, dtype=attributes.pop("dtype", np.uint16))
        key = (path.name[-9:], pixels.tobytes(), str(pixels.dtype), pixels.shape, str(attributes))
        if key not in written:
            save(path, pixels, attributes)
            written[key] = path.read_bytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written[key])
        return path

    def save(path, pixels, attributes):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MRImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid_of(path.name[-9:])
        image.Modality = "MR"
        image.PatientID = "ZX-4711"
        image.PatientName = "Zimmermann^Anna"
        image.SeriesInstanceUID = uid_of("series")
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel = 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 8 * pixels.dtype.itemsize
        image.HighBit = image.BitsStored - 1
        image.PixelRepresentation = int(pixels.dtype.kind == "i")
        image.PixelSpacing = [1, 1]
        image.ImageOrientationPatient = list(AXIAL)
        image.ImagePositionPatient = [0, 0, 0]
        image.InstanceNumber = 1
        image.PixelData = pixels.tobytes()
        for name, value in attributes.items():
            if value is None:
                delattr(image, name)
            else:
                setattr(image, name, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save_as(path, enforce_file_format=True)

    return write


@pytest.fixture
def write_series(write_slice):
    """Write a volume (D, H, W), one file per slice, in shuffled files, as one series."""

    def write(folder, volume, *, patient="ZX-4711", series="s", orientation=AXIAL, **attributes):
        normal = np.cross(orientation[:3], orientation[3:])
        names = np.random.default_rng(1).permutation(len(volume))
        for k, (plane, name) in enumerate(zip(volume, names, strict=True)):
            write_slice(
                folder / f"IM{name:04d}",
                plane,
                **{
                    "PatientID": patient,
                    "SeriesInstanceUID": uid_of(f"{patient}{series}"),
                    "ImageOrientationPatient": [f"{c:.6f}" for c in orientation],
                    "ImagePositionPatient": [f"{c:.4f}" for c in (5, -3, 11) + 2.5 * k * normal],
                    "InstanceNumber": k + 1,
                    **attributes,
                },
            )
        return folder

    return write


@pytest.fixture
def make_head():
    """Make a ball in dark noise, (D, H, W) uint16, brighter in front or behind by its class."""

    def make(label=0, seed=0, shape=(12, 24, 22)):
        rng = np.random.default_rng(seed)
        grid = np.meshgrid(*[np.linspace(-1.2, 1.2, side) for side in shape], indexing="ij")
        inside = sum(axis**2 for axis in grid) < 1
        anatomy = gaussian_filter(rng.normal(size=shape), 2)
        # Every head has an anatomy of its own; balls that differ in noise alone would be copies.
        anatomy *= 150 / anatomy.std()
        head = rng.integers(0, 20, shape) + inside * (500 + anatomy.clip(-400, 400))
        band = (grid[1] < 0) == bool(label)
        return (head + (inside & band) * 400).astype(np.uint16)

    return make


PEOPLE = (("glioma", "Zimmermann_Anna"), ("glioma", "Abel"), ("none", "Quist"), ("none", "Ola"))


@pytest.fixture
def cohort(write_series, make_head, tmp_path):
    """Write four patients in folders that bear their names; the first has two series."""

    def write(root="cohort", **attributes):
        for seed, (label, name) in enumerate(PEOPLE):
            folder = tmp_path / root / label / name / "MR"
            write_series(folder / "t1", make_head(seed=seed), patient=name, **attributes)
        first = tmp_path / root / "glioma" / "Zimmermann_Anna" / "MR" / "t2"
        write_series(first, make_head(seed=9), patient="Zimmermann_Anna", series="t2", **attributes)
        return tmp_path / root

    return write
