"""The scan of picture files: bounded in memory and linear in work, however many or huge they are."""

import os
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from minitl import data, images
from minitl.data import scan


def sparse(path, size, head=b""):
    """A file that claims `size` bytes and takes hardly any."""
    with open(path, "wb") as file:
        file.write(head)
        try:
            os.truncate(file.fileno(), size)
        except OSError as error:
            pytest.skip(f"needs a file system with sparse files ({error})")
    return path


def photos(root, count, classes=2):
    pixels = np.random.default_rng(count).integers(0, 256, (count, 2, 2, 3), np.uint8)
    for k in range(classes):
        (root / f"class{k}").mkdir(parents=True)
    for i in range(count):
        Image.fromarray(pixels[i]).save(root / f"class{i % classes}" / f"{i}.bmp")
    return root


HEADS = {
    "nothing.jpg": b"",
    "photo.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "photo.png": b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffiTXt",
    "photo.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\x7f",
    "photo.tif": b"II*\0\x08\0\0\0",
    "photo.bmp": b"BM",
}


def test_huge_files_are_not_read_into_memory(tmp_path):
    photos(tmp_path, 8)
    for name, head in HEADS.items():
        sparse(tmp_path / "class0" / name, 6 << 30, head)
    tracemalloc.start()
    found = data.folder(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert len(found.train + found.val) == 8
    assert {name for name, _ in found.skipped} == {f"class0/{name}" for name in HEADS}
    assert all("has 6.4 GB, more than any picture" in reason for _, reason in found.skipped)


def test_a_picture_with_a_long_tail_is_digested_in_pieces(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        for i in range(2):
            path = tmp_path / kind / f"{i}.jpg"
            Image.fromarray(np.full((8, 8, 3), 40 * i + 9 * (kind == "b"), np.uint8)).save(path)
            os.truncate(path, 48 << 20)  # a JPEG ends where it says so, whatever follows
    tracemalloc.start()
    found = data.folder(tmp_path, val=0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert len(found.train + found.val) == 4
    assert found.duplicates == ()


def test_the_limit_admits_whatever_can_be_decoded():
    assert scan.LARGEST_BYTES >= images.MAX_PIXELS * 4 * 2


def calls(function, *arguments):
    """(how many calls, of Python functions and built-in ones, it takes in this thread; its result)."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(before)
    return count, result


def test_the_work_grows_with_the_number_of_files_and_no_faster(tmp_path):
    few, some = calls(data.folder, photos(tmp_path / "few", 300, classes=30))
    many, all_of_them = calls(data.folder, photos(tmp_path / "many", 3000, classes=300))
    assert (len(some.train + some.val), len(all_of_them.train + all_of_them.val)) == (300, 3000)
    assert many < 12 * few


def test_no_file_is_opened_more_often_for_there_being_many(tmp_path, monkeypatch):
    opened = []
    decode = images.decode
    monkeypatch.setattr(images, "decode", lambda path: opened.append(path) or decode(path))
    data.folder(photos(tmp_path, 500))
    assert len(opened) == len(set(opened)) == 500
