"""A writer of the files of the set as MATLAB writes them with ``-v7.3``."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

USERBLOCK = 512


def matlab_header():
    """The 128 bytes that open a v7.3 file; the rest of the user block is zero."""
    text = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Thu Dec 10 10:00:00 2015"
    text += b" HDF5 schema 1.00 ."
    return text.ljust(116) + bytes(8) + b"\x00\x02IM"


def add_matrix(group, name, matrix, kind, **attributes):
    """Store a matrix (rows, columns) column by column, as HDF5 sees MATLAB's memory."""
    stored = np.ascontiguousarray(np.atleast_2d(matrix).T)
    chunks = {"chunks": stored.shape, "compression": 3} if stored.size > 1000 else {}
    dataset = group.create_dataset(name, data=stored, **chunks)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    for key, value in attributes.items():
        dataset.attrs[key] = value


def add_text(group, name, text):
    """Store text as character codes; MATLAB stores the size of an empty one instead."""
    if text:
        codes = np.array([[ord(letter) for letter in text]], dtype=np.uint16)
        add_matrix(group, name, codes, "char", MATLAB_int_decode=np.int32(2))
    else:
        dataset = group.create_dataset(name, data=np.zeros(2, dtype=np.uint64))
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
        dataset.attrs["MATLAB_empty"] = np.uint8(1)


def open_as_matlab(path, *, userblock=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    return h5py.File(path, "w", userblock_size=USERBLOCK if userblock else 0)


def stamp(path):
    """Write MATLAB's header into the user block of a closed file."""
    with path.open("r+b") as stream:
        stream.write(matlab_header())
    return path


def default_image():
    """12 rows, 8 columns, no symmetry."""
    return (np.arange(96).reshape(12, 8) * 7 - 20).astype(np.int16)


@pytest.fixture
def write_slice():
    """Write one file of the set; a field given as None is left out."""

    def write(path, image=None, *, label=1, patient="100360", mask=None, without=(), **options):
        image = default_image() if image is None else image
        mask = np.zeros(np.shape(image), dtype=np.uint8) if mask is None else mask
        with open_as_matlab(path, **options) as file:
            cjdata = file.create_group("cjdata")
            cjdata.attrs["MATLAB_class"] = np.bytes_("struct")
            add_text(cjdata, "PID", patient)
            add_matrix(cjdata, "image", image, np.asarray(image).dtype.name)
            add_matrix(cjdata, "label", np.float64(label), "double")
            add_matrix(cjdata, "tumorBorder", np.array([[1.5, 2.0, 3.5, 4.0]]), "double")
            add_matrix(
                cjdata, "tumorMask", mask.astype(np.uint8), "logical", MATLAB_int_decode=np.int32(1)
            )
            for key in without:
                del cjdata[key]
        return stamp(path) if options.get("userblock", True) else path

    return write


@pytest.fixture
def write_cvind():
    """Write ``cvind.mat`` as v7.3; ``folds`` is one number per file."""

    def write(path, folds, name="cvind"):
        with open_as_matlab(path) as file:
            add_matrix(file, name, np.asarray(folds, dtype=np.float64)[:, None], "double")
        return stamp(path)

    return write


@pytest.fixture
def write_set(tmp_path, write_slice):
    """Write ``count`` slices: three a patient; the class is where the bright band is."""

    def write(count=9, root="cheng", place="{}.mat", side=24):
        for number in range(1, count + 1):
            patient = (number - 1) // 3
            label = 1 + patient % 3
            image = np.random.default_rng(number).integers(0, 300, (side, side)).astype(np.int16)
            band = slice((label - 1) * side // 3, label * side // 3)
            image[band] += 900
            mask = np.zeros(image.shape, dtype=np.uint8)
            mask[band] = 1
            path = tmp_path / root / place.format(number)
            write_slice(path, image, label=label, patient=f"MR{patient:03d}A", mask=mask)
        return tmp_path / root

    return write
