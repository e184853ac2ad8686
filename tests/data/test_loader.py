"""Decoding in the background: in order, bounded, and with every failure named."""

import threading

import numpy as np
import pytest
from PIL import Image

from minitl.data import Item, load
from minitl.data.loader import augmenting
from minitl.errors import ArgumentError, DataError
from minitl.images import Augmentation, Preprocessing


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


SHIFTED = Augmentation(pad=3, flip=0.5, brightness=0.5, erase=0.5)


def augmented(found, augmentation=SHIFTED, seed=0, epoch=1, workers=2):
    return {
        item.name: array
        for item, array in load(found, np.asarray, workers, augment=augmenting(augmentation, seed, epoch))
    }


def noise(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 9, 3), np.uint8)
    return [Item(str(i), i % 2, pixels[i]) for i in range(count)]


def test_augmented_by_seed_epoch_and_name_alone():
    found = noise(20)
    first = augmented(found)
    for order, workers in ((found, 0), (found[::-1], 5), (found[7:], 1)):
        again = augmented(order, workers=workers)
        assert all(np.array_equal(array, first[name]) for name, array in again.items())
    relabelled = augmented([Item(item.name, 1 - item.label, item.source) for item in found])
    assert all(np.array_equal(array, first[name]) for name, array in relabelled.items())
    for other in (augmented(found, seed=1), augmented(found, epoch=2)):
        assert sum(np.array_equal(array, first[name]) for name, array in other.items()) <= 1
    one = [Item(str(i), 0, found[0].source) for i in range(20)]
    assert len({array.tobytes() for array in augmented(one).values()}) >= 19


def test_augmented_before_it_is_preprocessed():
    flipped = augmented(noise(3), Augmentation(flip=1))
    assert all(np.array_equal(flipped[item.name], item.source[:, ::-1]) for item in noise(3))


def test_a_failing_augmentation_names_the_picture():
    def broken(item, picture):
        raise ZeroDivisionError("by zero")

    with pytest.raises(DataError, match="0: preparing the picture failed: ZeroDivisionError"):
        list(load(items(2), np.asarray, augment=broken))


@pytest.mark.parametrize(
    ("settings", "shape", "expected"),
    [
        ({"resize": "short_side", "size": 50}, (400, 600), (100, 150)),
        ({"resize": "short_side", "size": 50}, (199, 600), (199, 600)),  # halved, less than 2 * 50 would be left
        ({"resize": "short_side", "size": 50, "crop": 40}, (800, 401), (200, 101)),
        ({"resize": "exact", "size": (50, 10)}, (400, 400), (100, 100)),
        ({"resize": "none", "crop": 10}, (400, 400), (400, 400)),
    ],
)
def test_large_photographs_are_made_smaller_before_they_are_changed(settings, shape, expected):
    x = np.linspace(0, 255, shape[0] * shape[1] * 3).reshape(*shape, 3).astype(np.uint8)
    item, preprocessing = Item("a", 0, x), Preprocessing(scale=1.0, **settings)
    augment = augmenting(Augmentation(flip=1.0), 0, 1, preprocessing)
    assert augment(item, x).shape == (*expected, 3)
    whole = augmenting(Augmentation(flip=1.0), 0, 1)(item, x)
    assert np.array_equal(whole, x[:, ::-1])
    assert np.abs(preprocessing(whole) - preprocessing(augment(item, x))).mean() < 2
    padded = augmenting(Augmentation(pad=4), 0, 1, preprocessing)
    assert padded(item, x).shape == x.shape
    half = augmenting(Augmentation(crop=(0.25, 1.0)), 0, 1, preprocessing)
    assert min(half(item, x).shape[:2]) >= min(shape) / 2


@pytest.mark.parametrize("workers", ["2", 1.5, None, True])
def test_workers_that_are_no_number(workers):
    with pytest.raises(ArgumentError, match="load: workers must be a whole number"):
        list(load(items(1), lambda p: p, workers))
