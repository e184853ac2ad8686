"""Arrays of pictures in HDF5 and NumPy files: the same pictures as in memory, read lazily; nothing hostile believed."""

import contextlib
import io
import os
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import data
from minitl.data import stored
from minitl.data.stored import StoredPicture
from minitl.errors import DataError

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (12, 6, 5, 3), np.uint8)
LABELS = np.arange(12) % 3
NAMES = ["ant", "bee", "Ä 蜂"]


def hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return data.hdf5, path


def chunked(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True, compression="gzip", shuffle=True)
    return data.hdf5, path


def npz(path, arrays):
    np.savez(path.with_suffix(".npz"), **arrays)
    return data.npz, path.with_suffix(".npz")


def compressed(path, arrays):
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    return data.npz, path.with_suffix(".npz")


def npy(path, arrays):
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    (path / "._x.npy").write_bytes(b"what a Mac leaves behind")
    return data.npz, path


LAZY = {"hdf5": hdf5, "npz": npz, "npy": npy}
WRITERS = {**LAZY, "chunked hdf5": chunked, "compressed npz": compressed}


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


@pytest.fixture
def written(tmp_path, kind):
    """Writes arrays, by name, as one kind of file; returns what reads it, and its path."""
    return lambda **arrays: WRITERS[kind](tmp_path / "d", arrays)


def rows(found):
    return {item.name: item for item in found.train + found.val}


@pytest.mark.parametrize("grey", [False, True])
def test_the_same_pictures_as_in_memory(written, kind, grey):
    x = COLOUR[..., 0] if grey else COLOUR
    read, path = written(x=x, y=LABELS.astype(np.int16))
    found = read(path, val=0.25, seed=3)
    assert (found.classes, found.root) == (("0", "1", "2"), path)
    assert (len(found.train), len(found.val)) == (9, 3)
    memory = rows(data.arrays(x, LABELS))
    for name, item in rows(found).items():
        array, row = name.split("/")
        assert array == "x"
        assert item.label == memory[row].label
        assert np.array_equal(item.picture(), memory[row].picture())
        assert item.digest() == memory[row].digest()
        assert item.size() == memory[row].size()
        assert item.glimpse() == memory[row].glimpse()
        assert isinstance(item, StoredPicture) == (kind in LAZY)
    assert data.read(path, val=0.25, seed=3) == found


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y", "x_val", "y_val"),
        ("x_train", "y_train", "x_val", "y_val"),
        ("train_images", "train_labels", "val_images", "val_labels"),
    ],
)
def test_validation_pictures_of_their_own(written, names):
    x, y, x_val, y_val = names
    read, path = written(**{x: COLOUR[3:], y: LABELS[3:, None], x_val: COLOUR[:3], y_val: LABELS[:3], "x_test": COLOUR})
    found = read(path)
    assert (len(found.train), len(found.val)) == (9, 3)
    assert {item.name.split("/")[0] for item in found.val} == {x_val}
    assert found.skipped == (("x_test", "is a test part and left out"),)
    assert rows(read(path, x, y, x_val, y_val)).keys() == rows(found).keys()
    assert len(read(path, x, y).val) == 3


def test_arrays_may_be_named_and_divided(written):
    read, path = written(pixels=COLOUR, kind=LABELS)
    assert len(read(path, "pixels", "kind", val=0.5).val) == 6
    with pytest.raises(
        DataError, match=r"no pictures and labels .*x and y.*; it has (pixels, kind|kind, pixels); .*x="
    ):
        read(path)
    with pytest.raises(DataError, match=r"has no array 'pixel'; it has (pixels, kind|kind, pixels)"):
        read(path, "pixel", "kind")
    with pytest.raises(DataError, match="both the pictures and their labels"):
        read(path, "pixels")


def test_names_of_classes_come_along_or_are_given(written):
    read, path = written(x=COLOUR, y=LABELS, classes=np.char.encode(NAMES, "utf-8"))
    if read is data.hdf5 and not h5py.File(path)["classes"].chunks:
        assert read(path).classes == tuple(NAMES)
    if read is data.npz:
        assert read(path).classes == tuple(NAMES)
    assert read(path, classes=["p", "q", "r"]).classes == ("p", "q", "r")


def test_numpy_text_names_classes(tmp_path):
    read, path = npz(tmp_path / "d", {"x": COLOUR, "y": LABELS, "classes": np.array(NAMES)})
    assert read(path).classes == tuple(NAMES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": COLOUR.astype(np.float32)}, r"x must be raw pictures: .* got float32 of shape \(12, 6, 5, 3\)"),
        ({"x": COLOUR.transpose(0, 3, 1, 2).copy()}, "raw pictures"),
        ({"y": LABELS[:5]}, r"12 pictures, so its labels must have shape \(12,\); got \(5,\)"),
        ({"y": LABELS - 1}, "whole numbers from 0; got -1"),
        ({"y": LABELS * 1.0}, "float64"),
        ({"y": LABELS * 0}, "one class only"),
        ({"y": np.where(LABELS, LABELS, 9)}, "class '0' has no readable picture to train on"),
        ({"x": COLOUR[:0], "y": LABELS[:0]}, "holds no picture"),
        ({"x_val": COLOUR[:2], "y_val": LABELS[:2]}, "class '2' has no readable picture to validate on"),
    ],
)
def test_arrays_that_are_no_data_are_refused(written, change, words):
    read, path = written(**{"x": COLOUR, "y": LABELS} | change)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_in_both_splits_is_noticed(written):
    read, path = written(x=COLOUR, y=LABELS, x_val=COLOUR[3:6], y_val=LABELS[3:6])
    with pytest.warns(UserWarning, match=r"; 3 of 3 in val.: .*remove") as caught:
        found = read(path)
    assert found.duplicates == tuple((f"x/00000{i}", f"x_val/00000{i - 3}") for i in (3, 4, 5))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("write", LAZY.values(), ids=LAZY)
def test_pictures_stay_in_the_file_until_their_turn(tmp_path, write, monkeypatch):
    monkeypatch.setattr(stored, "available_memory", lambda: LABELS.nbytes)
    read, path = write(tmp_path / "d", {"x": COLOUR, "y": LABELS})
    items = read(path).train
    assert items[0].picture().shape == (6, 5, 3)
    file = path / "x.npy" if path.is_dir() else path
    os.utime(file, ns=(1, 1))
    with pytest.raises(DataError, match=r"has changed; load the data anew \(x/0000"):
        items[0].picture()
    file.unlink()
    with pytest.raises(DataError, match="gone or has changed"):
        items[0].picture()
    assert items[0].digest() is items[0].stamp() is None


@pytest.mark.parametrize("write", [chunked, compressed])
def test_what_would_not_fit_into_memory_is_told(tmp_path, write, monkeypatch):
    monkeypatch.setattr(stored, "available_memory", lambda: COLOUR.nbytes - 1)
    read, path = write(tmp_path / "d", {"x": COLOUR, "y": LABELS})
    with pytest.raises(DataError, match=r"x would take 0.0 MB of memory, .* free; store it uncompressed"):
        read(path)


def test_groups_of_hdf5(tmp_path):
    _, path = hdf5(tmp_path / "d.h5", {"set/x": COLOUR, "set/y": LABELS})
    found = data.hdf5(path, "set/x", "set/y")
    for name, item in rows(found).items():
        assert np.array_equal(item.picture(), COLOUR[int(name.rpartition("/")[2])])


def test_rows_of_fortran_order_and_of_version_2(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        for name, array in (("x", np.asfortranarray(COLOUR)), ("y", LABELS)):
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(2, 0))
            archive.writestr(f"{name}.npy", content.getvalue())
    for name, item in rows(data.npz(tmp_path / "d.npz")).items():
        assert np.array_equal(item.picture(), COLOUR[int(name[2:])])


# Files that are not to be trusted


def with_hdf5(build):
    def write(path):
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = COLOUR, LABELS
            build(file, path.parent)

    return write


def external_link(file, folder):
    del file["x"]
    file["x"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def soft_link(file, folder):
    file["z"] = h5py.SoftLink("/x")


def external_data(file, folder):
    del file["x"]
    (folder / "secret").write_bytes(COLOUR.tobytes())
    file.create_dataset("x", COLOUR.shape, np.uint8, external=[(str(folder / "secret"), 0, h5py.h5f.UNLIMITED)])


def virtual(file, folder):
    del file["x"]
    layout = h5py.VirtualLayout(COLOUR.shape, np.uint8)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", COLOUR.shape)
    file.create_virtual_dataset("x", layout)


def terabytes(file, folder):
    del file["x"]
    file.create_dataset("x", (10**6, 1000, 1000, 3), np.uint8)


def packed_terabytes(file, folder):
    del file["x"]
    file.create_dataset("x", (12, 10**6, 10**5, 3), np.uint8, chunks=(1, 1000, 1000, 3), compression="gzip")


def other_filter(file, folder):
    del file["x"]
    file.create_dataset("x", data=COLOUR, compression="lzf")


def text_of_variable_length(file, folder):
    file["classes"] = NAMES


def objects(file, folder):
    del file["y"]
    file.create_dataset("y", (12,), h5py.vlen_dtype(np.int32))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (external_link, "x: is a link to elsewhere"),
        (soft_link, "z: is a link to elsewhere"),
        (external_data, "/x: takes its data from another file"),
        (virtual, "/x: (takes its data from another file|claims)"),
        (terabytes, "/x: claims 3000000000000 bytes"),
        (packed_terabytes, "x would take 3600.0 GB of memory"),
        (other_filter, "/x: uses filter 32000; write it with shuffle and gzip"),
        (text_of_variable_length, "/classes: holds text of variable length; .*classes="),
        (objects, "/y: must be"),
    ],
)
def test_hostile_hdf5_is_refused_in_one_line(tmp_path, build, words):
    with_hdf5(build)(tmp_path / "d.h5")
    with pytest.raises(DataError, match=words) as caught:
        data.hdf5(tmp_path / "d.h5")
    assert "\n" not in str(caught.value)


class Trap:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self):
        return open, ("sprung", "w")


def member(archive, name, array=None, header=None):
    content = io.BytesIO()
    if header is None:
        np.lib.format.write_array(content, array)
    else:
        np.lib.format.write_array_header_1_0(content, header)
    archive.writestr(f"{name}.npy", content.getvalue())


@pytest.mark.parametrize("where", ["x", "y", "classes"])
@pytest.mark.parametrize("folder", [False, True])
def test_pickles_are_never_opened(tmp_path, monkeypatch, where, folder):
    monkeypatch.chdir(tmp_path)
    arrays = {"x": COLOUR, "y": LABELS, "classes": np.array(["a", "b", "c"])}
    arrays[where] = np.array([Trap()] * len(arrays[where]), object)
    path = tmp_path / ("d" if folder else "d.npz")
    if folder:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array, allow_pickle=True)
    else:
        np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"holds Python objects, which are never unpickled|x must be .* got object"):
        data.npz(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(10**6, 1000, 1000, 3), (-1, 4, 4, 3), (13, 6, 5, 3)])
def test_claims_beyond_the_bytes_are_refused(tmp_path, method, shape):
    with zipfile.ZipFile(tmp_path / "d.npz", "w", method) as archive:
        member(archive, "x", header={"shape": shape, "fortran_order": False, "descr": "|u1"})
        member(archive, "y", np.zeros(max(0, min(shape[0], 13)), int))
    with pytest.raises(DataError, match=r"claims|cannot be read"):
        data.npz(tmp_path / "d.npz")


def test_what_is_no_file_of_arrays(tmp_path):
    for read, name in ((data.hdf5, "HDF5"), (data.npz, "npz")):
        with pytest.raises(DataError, match="there is no such file"):
            read(tmp_path / "nothing")
        for content in (b"", b"<html>", b"PK\x05\x06"):
            (tmp_path / "d").write_bytes(content)
            with pytest.raises(DataError, match=f"not an .?{name} file"):
                read(tmp_path / "d")
    with pytest.raises(DataError, match="it has none"):
        data.npz(tmp_path)


WHOLE: dict[str, bytes] = {}


@pytest.mark.parametrize("kind", ["hdf5", "npz", "compressed npz", "chunked hdf5"])
@given(drawn=st.data())
def test_damage_anywhere_is_a_data_error_or_other_pixels(tmp_path_factory, kind, drawn):
    folder = tmp_path_factory.mktemp("w")
    if kind not in WHOLE:
        _, path = WRITERS[kind](folder / "good", {"x": COLOUR, "y": LABELS})
        WHOLE[kind] = path.read_bytes()
    content = bytearray(WHOLE[kind])
    if drawn.draw(st.booleans(), label="cut"):
        del content[drawn.draw(st.integers(0, len(content) - 1), label="bytes kept") :]
    else:
        for place, value in drawn.draw(
            st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
        ):
            content[place] = value
    path = folder / "damaged"
    path.write_bytes(content)
    read = data.hdf5 if "hdf5" in kind else data.npz
    try:
        found = read(path)
    except DataError as error:
        message = str(error)
    else:
        message = ""
        assert {item.picture().shape[2] for item in found.train + found.val} == {3}
    assert "\n" not in message


def test_a_damaged_member_of_any_compression(tmp_path):
    path = tmp_path / "pictures.npz"
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", kind) as archive:
            for name, array in {"x": COLOUR, "y": LABELS}.items():
                content = io.BytesIO()
                np.save(content, array)
                archive.writestr(f"{name}.npy", content.getvalue())
        assert len(data.npz(path).train) == 9
        whole = path.read_bytes()
        for place in range(30, 120, 3):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            with contextlib.suppress(DataError):
                data.npz(path)
