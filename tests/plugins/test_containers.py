"""One head, stored in every way that mritk reads, gives the same grey levels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import MRImageStorage

from mritk import read_image
from mritk_dicom.header import read_header
from mritk_dicom.pixels import read_volume as read_dicom
from mritk_folders.nifti import read_volume as read_nifti

# To the patient's left and posterior, as the rows and columns of volumes run.
AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])

HEAD = np.random.default_rng(0).normal(900, 200, (3, 20, 16)).clip(0).round().astype(np.int16)
HEAD[:, :, :7] = 0
HEAD[0, 3, 9], HEAD[1, 2, 8] = 4000, 2


def nifti(folder, dtype=np.int16, name="v.nii", **scale):
    image = nib.Nifti1Image(HEAD.transpose(2, 1, 0).astype(dtype), AFFINE)
    if scale:  # what nibabel does with floats that are to be stored as whole numbers
        image = nib.Nifti1Image(HEAD.transpose(2, 1, 0) / 7.3 - 1e-4, AFFINE)
        image.set_data_dtype(np.int16)
    nib.save(image, folder / name)
    return read_nifti(folder / name)


def dicom(folder, **attributes):
    stored = {"dtype": np.uint16, "shift": 0, **attributes}
    dtype, shift = stored.pop("dtype"), stored.pop("shift")
    headers = []
    for k, plane in enumerate(HEAD):
        image = pydicom.Dataset()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, f"1.2.{k + 1}"
        image.PatientID, image.SeriesInstanceUID = "p", "1.2.3"
        image.Rows, image.Columns = plane.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = int(np.dtype(dtype).kind == "i")
        image.PixelData = (plane + shift).astype(dtype).tobytes()
        for name, value in stored.items():
            setattr(image, name, value)
        image.save_as(folder / f"{k}", enforce_file_format=True)
        headers.append(read_header(folder / f"{k}"))
    return read_dicom(headers)


def picture(folder, name, dtype):
    Image.fromarray(HEAD.reshape(-1, HEAD.shape[2]).astype(dtype)).save(folder / name)
    return read_image(folder / name).reshape(HEAD.shape)


@pytest.mark.parametrize(
    "stored",
    [
        lambda folder: nifti(folder, np.float32),
        lambda folder: nifti(folder, np.float64, "v.nii.gz"),
        lambda folder: nifti(folder, scaled=True),
        dicom,
        lambda folder: dicom(
            folder, dtype=np.int16, shift=-500, RescaleSlope=1, RescaleIntercept=500
        ),
        lambda folder: dicom(folder, BitsStored=12, HighBit=11),
        lambda folder: picture(folder, "i.png", np.uint16),
        lambda folder: picture(folder, "i.tif", np.uint16),
        lambda folder: picture(folder, "i.tif", np.int32),
        lambda folder: picture(folder, "i.tif", np.float32),
    ],
    ids=[
        "NIfTI float32",
        "NIfTI float64, packed",
        "NIfTI int16 with slope and intercept",
        "DICOM",
        "DICOM signed, with an intercept",
        "DICOM of 12 bits",
        "16-bit grey or RGB PNG",
        "TIFF of 16 bits",
        "TIFF of 32 bits",
        "TIFF of floats",
    ],
)
def test_the_container_does_not_change_the_grey_levels(tmp_path, stored):
    found = HEAD[HEAD > 2]  # 2 is less than half a grey level
    low, high = np.percentile(found, (0.5, 99.5))
    np.testing.assert_allclose(nifti(tmp_path), np.interp(HEAD, (low, high), (0, 255)), atol=0.51)
    shown = stored(tmp_path).astype(int)
    assert np.abs(shown - nifti(tmp_path)).max() <= 1
