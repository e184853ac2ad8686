"""A Dataset written down and made again, wherever its pictures are by then, without a look at them."""

import hashlib
import os

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data, images
from minitl.data import Dataset, Item, record
from minitl.errors import DataError

PICTURES = np.random.default_rng(0).integers(0, 256, (10, 6, 7, 3), np.uint8)
LABELS = np.arange(10) % 2


@pytest.fixture
def photos(tmp_path):
    for i, picture in enumerate(PICTURES):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "photos"


def test_the_table_says_what_each_picture_was(tmp_path, photos):
    found = data.folder(photos)
    record.write(tmp_path / "pictures.csv", found)
    lines = (tmp_path / "pictures.csv").read_text().splitlines()
    assert lines[:3] == ["split,name,label,size,mtime_ns,digest", "class,a,0,,,", "class,b,1,,,"]
    assert len(lines) == 13
    for line, row in zip(lines[3:], found.fingerprint(), strict=True):
        assert line.split(",") == [str(value) for value in row.values()]
    first = next(found.fingerprint())
    path = photos / first["name"]
    assert first["split"] == "train"
    assert first["digest"] == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    assert (first["size"], first["mtime_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_it_is_made_again_elsewhere_without_a_look(tmp_path, photos, monkeypatch):
    found = data.folder(photos, val=0.4, seed=5)
    record.write(tmp_path / "pictures.csv", found)
    photos.rename(tmp_path / "moved")
    (tmp_path / "moved" / found.train[0].name).unlink()
    Image.fromarray(PICTURES[0]).save(tmp_path / "moved" / "a" / "later.png")
    with monkeypatch.context() as patch:
        patch.setattr(images, "decode", None)
        again = record.read(tmp_path / "pictures.csv", tmp_path / "moved")
    assert (again.classes, again.train, again.val) == (found.classes, found.train, found.val)
    assert again.root == tmp_path / "moved"
    assert np.array_equal(again.val[0].picture(), PICTURES[int(again.val[0].name[2:-4])])
    with pytest.raises(DataError, match="cannot be opened"):
        again.train[0].picture()
    with pytest.raises(DataError, match="photos: the pictures are not there"):
        record.read(tmp_path / "pictures.csv", photos)


def test_tables_of_pictures_come_back_too(tmp_path, photos):
    (tmp_path / "t").mkdir()
    lines = [f"..\\photos\\{'ab'[i % 2]}\\{i}.png,{'ab'[i % 2]}\n" for i in range(9)] + [f"{photos}/b/9.png,b\n"]
    (tmp_path / "t" / "t.csv").write_text("file,label\n" + "".join(lines))
    found = data.csv(tmp_path / "t" / "t.csv")
    record.write(tmp_path / "pictures.csv", found)
    again = record.read(tmp_path / "pictures.csv", found.root)
    assert (again.train, again.val) == (found.train, found.val)
    assert all(item.picture().shape == (6, 7, 3) for item in again.train + again.val)


@pytest.mark.parametrize("kind", ["npz", "compressed", "hdf5", "npy"])
def test_arrays_in_files_come_back_too(tmp_path, kind):
    path = tmp_path / "d.npz"
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["set/x"], file["set/y"] = PICTURES, LABELS
        found = data.hdf5(path, "set/x", "set/y", classes=["ant", "bee"])
    elif kind == "npy":
        path = tmp_path / "d"
        path.mkdir()
        np.save(path / "x.npy", PICTURES)
        np.save(path / "y.npy", LABELS)
        found = data.npz(path, classes=["ant", "bee"])
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, x=PICTURES, y=LABELS)
        found = data.npz(path, classes=["ant", "bee"])
    record.write(tmp_path / "pictures.csv", found)
    moved = path.rename(tmp_path / "moved")
    again = record.read(tmp_path / "pictures.csv", moved)
    assert (again.classes, again.train, again.val) == (found.classes, found.train, found.val)
    for item in again.train + again.val:
        assert np.array_equal(item.picture(), PICTURES[int(item.name.rpartition("/")[2])])
    assert record.changed(tmp_path / "pictures.csv", again) == []
    table = (tmp_path / "pictures.csv").read_text()
    (tmp_path / "pictures.csv").write_text(table.replace("/000007", "/000010"))
    with pytest.raises(DataError, match=r"does not hold the picture .*x/000010; give the file"):
        record.read(tmp_path / "pictures.csv", moved)


def test_what_has_changed_is_told_by_content(tmp_path, photos):
    found = data.folder(photos)
    record.write(tmp_path / "pictures.csv", found)
    assert record.changed(tmp_path / "pictures.csv", found) == []
    every = [item.name for item in found.train + found.val]
    touched, altered, grown, gone = (photos / name for name in every[:4])
    os.utime(touched, ns=(5, 5))
    content = bytearray(altered.read_bytes())
    content[-1] ^= 1
    altered.write_bytes(content)
    os.utime(altered, ns=(5, 5))
    grown.write_bytes(grown.read_bytes() + b" ")
    gone.unlink()
    assert record.changed(tmp_path / "pictures.csv", found) == every[1:4]
    later = Dataset(found.classes, (*found.train, Item("a/new.png", 0, touched)), found.val)
    assert record.changed(tmp_path / "pictures.csv", later) == [*every[1:4], "a/new.png"]


def test_pictures_in_memory_are_told_by_their_digest(tmp_path):
    pictures = PICTURES.copy()
    found = data.arrays(pictures, LABELS)
    record.write(tmp_path / "pictures.csv", found)
    assert record.changed(tmp_path / "pictures.csv", found) == []
    pictures[int(found.train[2].name)] += 1
    assert record.changed(tmp_path / "pictures.csv", found) == [found.train[2].name]


def test_a_picture_that_is_gone_is_written_down_all_the_same(tmp_path, photos):
    found = data.folder(photos)
    (photos / found.train[0].name).unlink()
    record.write(tmp_path / "pictures.csv", found)
    assert f"train,{found.train[0].name},0,,,\n" in (tmp_path / "pictures.csv").read_text()
    assert record.read(tmp_path / "pictures.csv", photos).train == found.train


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from([*' ,;"\r\n\t', "\udce9", "\ufeff"]),
    min_size=1,
    max_size=8,
)


@given(names=st.lists(NAMES, unique=True, max_size=8), held=st.integers(0, 8))
def test_names_of_any_kind_come_back(tmp_path_factory, names, held):
    folder = tmp_path_factory.mktemp("r")
    items = [Item(name, i % 2, PICTURES[i]) for i, name in enumerate(names)]
    found = Dataset(("Ä\r\n, x", 'b"'), tuple(items[held:]), tuple(items[:held]))
    record.write(folder / "pictures.csv", found)
    again = record.read(folder / "pictures.csv", folder)
    assert (again.classes, again.train, again.val) == (found.classes, found.train, found.val)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("split,name", "part,name", 1),
        ("class,b,1", "class,b,2", 3),
        ("class,b,1", "class,b,x", 3),
        ("train,a/", "later,a/", 4),
        ("train,a/0.png,0", "train,a/0.png,7", 4),
        ("train,a/0.png,0", "train,a/0.png,-1", 4),
        ("train,a/0.png,0", "train,a/0.png," + "9" * 6000, 4),
        ("train,a/0.png,0,", "train,a/0.png,0,1,", 4),
        ("class,a,0,,,", "class,a,0", 2),
    ],
)
def test_a_table_edited_by_hand_is_refused_with_its_line(tmp_path, photos, before, after, line):
    path = tmp_path / "pictures.csv"
    record.write(path, data.folder(photos, val=0))
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(DataError, match=f"line {line} is not as minitl writes it") as caught:
        record.read(path, photos)
    assert str(path) in str(caught.value)


def test_what_is_no_table(tmp_path, photos):
    with pytest.raises(DataError, match=r"cannot be read .No such file"):
        record.read(tmp_path / "nothing.csv", photos)
    (tmp_path / "pictures.csv").write_bytes(b"")
    with pytest.raises(DataError, match="line 1"):
        record.read(tmp_path / "pictures.csv", photos)
    with pytest.raises(DataError, match="the folder does not exist: create it"):
        record.write(tmp_path / "none" / "pictures.csv", data.folder(photos))
