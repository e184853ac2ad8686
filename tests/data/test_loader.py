"""Decoding in the background: in order, bounded, and with every failure named."""

import threading

import numpy as np
import pytest
from PIL import Image

from minitl.data import Item, load
from minitl.errors import DataError


def items(count):
    return [Item(str(i), 0, np.full((2, 2, 3), i % 256, np.uint8)) for i in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_in_order_however_many_workers(workers):
    names = [item.name for item, array in load(items(100), lambda p: p[0, 0], workers) if array[0] == int(item.name)]
    assert names == [str(i) for i in range(100)]


def test_no_more_is_prepared_than_asked_for():
    prepared = []
    source = load(items(1000), lambda p: prepared.append(1) or p, 2)
    next(source)
    source.close()
    assert len(prepared) < 40


def test_work_happens_in_other_threads():
    seen = set()
    list(load(items(10), lambda p: seen.add(threading.current_thread().name) or p, 2))
    assert all(name.startswith("minitl-loader") for name in seen)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_picture_is_left_out_and_named(tmp_path, workers):
    for name in "abc":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")
    found = [Item(f"{name}.png", 0, tmp_path / f"{name}.png") for name in "abc"]
    with pytest.warns(UserWarning, match=r"b\.png.*0 bytes"):
        assert [item.name for item, _ in load(found, np.asarray, workers)] == ["a.png", "c.png"]


@pytest.mark.parametrize("workers", [0, 2])
def test_any_other_failure_names_the_picture(workers):
    def broken(picture):
        if picture[0, 0, 0] == 3:
            raise ZeroDivisionError("by zero")
        return picture

    with pytest.raises(DataError, match="3: preparing the picture failed: ZeroDivisionError: by zero"):
        list(load(items(6), broken, workers))
