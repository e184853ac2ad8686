"""The preview shows what a training will see, of every class, and is written whole or not at all."""

import os

import numpy as np
import pytest
from PIL import Image

from minitl import data
from minitl.data.loader import augmenting
from minitl.errors import ArgumentError, DataError
from minitl.images import Augmentation, Preprocessing
from minitl.report import preview, write_preview

COLOURS = ((250, 10, 20), (10, 240, 30), (20, 30, 230))


def plain(count=2, side=20):
    """Pictures of one colour a class."""
    x = np.array([np.full((side, side + 10, 3), COLOURS[i % 3], np.uint8) for i in range(3 * count)])
    return data.arrays(x, np.arange(3 * count) % 3, ["red", "green", "$b^l$ue 蜂\n"], val=0)


def pixels(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def columns(image, colour):
    """How many runs of pixels of that colour the row with most of them has."""
    same = (image == colour).all(axis=2)
    row = same[same.sum(axis=1).argmax()]
    return int((np.diff(row.astype(int)) == 1).sum())


def test_a_row_a_picture_the_original_first(tmp_path):
    path = write_preview(plain(), Augmentation(flip=0.5), tmp_path / "p.png", pictures=3, epochs=4)
    assert path == tmp_path / "p.png"
    image = pixels(path)
    assert [columns(image, colour) for colour in COLOURS] == [5, 5, 5]
    firsts = [np.flatnonzero((image == colour).all(axis=2).any(axis=1))[0] for colour in COLOURS]
    assert firsts == sorted(firsts)  # one of each class, in their order
    dark = write_preview(plain(), Augmentation(brightness=1), tmp_path / "q.png", pictures=3, epochs=4)
    assert [columns(pixels(dark), colour) for colour in COLOURS] == [1, 1, 1]


def test_the_same_as_in_training(tmp_path, monkeypatch):
    rows = []
    monkeypatch.setattr(preview, "_sheet", lambda data, augmentation, found: rows.extend(found) or b"")
    rng = np.random.default_rng(0)
    found = data.arrays(rng.integers(0, 256, (8, 12, 9, 3), np.uint8), np.arange(8) % 2, val=0)
    write_preview(found, "photos", tmp_path / "p.png", pictures=5, epochs=3, seed=7)
    assert [item.label for item, _ in rows] == [0, 1, 0, 1, 0]
    augmentation = Augmentation.preset("photos")
    for item, shown in rows:
        assert np.array_equal(shown[0], item.picture())
        for epoch in (1, 2, 3):
            assert np.array_equal(shown[epoch], augmenting(augmentation, 7, epoch)(item, item.picture()))


@pytest.mark.parametrize("channels", ["RGB", "BGR", "L"])
def test_what_the_network_gets_is_shown_as_a_picture(channels):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    count = 1 if channels == "L" else 3
    mean, std = (0.4, 0.3, 0.2)[:count], (0.5, 0.25, 2.0)[:count]
    shown = preview._shown(picture, Preprocessing(channels, 1 / 255, mean, std, crop=(5, 5)))
    middle = picture[2:7, 1:6]
    grey = np.asarray(Image.fromarray(middle).convert("L"))
    assert np.array_equal(shown, grey if channels == "L" else middle)


def test_pictures_of_any_shape_and_name(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 4000), (4000, 1), (30, 20)]
    items = [
        data.Item(f"{'very ' * 20}$_{i}^$\x1b[2J 蜂.png", i % 2, rng.integers(0, 256, (*shape, 3), np.uint8))
        for i, shape in enumerate(shapes)
    ]
    found = data.Dataset(("<a>", "b" * 200), tuple(items), ())
    everything = Augmentation(rotate=20, crop=(0.5, 1), hue=0.1, erase=1, erase_scale=(0.05, 0.1), brightness=0.3)
    height, width, _ = pixels(write_preview(found, everything, tmp_path / "p.png", epochs=1)).shape
    assert 500 < height < 3000
    assert width < 1000


def test_unreadable_pictures_are_passed_over(tmp_path):
    items = []
    for i in range(4):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (8, 8), COLOURS[0]).save(path)
        items.append(data.Item(path.name, 0, path))
    found = data.Dataset(("a",), tuple(items), ())
    items[0].source.unlink()
    items[2].source.write_bytes(b"")
    with pytest.warns(UserWarning, match="left out") as caught:
        path = write_preview(found, "photos", tmp_path / "p.png", epochs=1)
    assert len(caught) == 2
    assert len(pixels(path)) > 2 * 1.4 * 144
    for item in items:
        item.source.unlink(missing_ok=True)
    with pytest.warns(UserWarning, match="left out"), pytest.raises(DataError, match="no training picture that can be"):
        write_preview(found, "photos", tmp_path / "q.png")


def test_refused(tmp_path):
    found = plain()
    for settings, match in (
        ({"pictures": 0}, "pictures must be a positive int"),
        ({"epochs": 1.5}, "epochs must be a positive int"),
        ({"seed": -1}, "seed must be"),
        ({"augmentation": "best"}, "preset must be one of photos"),
        ({"augmentation": None}, "augmentation must be an images.Augmentation or a preset's name; got None"),
    ):
        with pytest.raises(ArgumentError, match=match):
            write_preview(found, **{"augmentation": "photos", "path": tmp_path / "p.png", **settings})
    with pytest.raises(DataError, match="data must be a Dataset"):
        write_preview("photos/", "photos", tmp_path / "p.png")
    with pytest.raises(DataError, match="folder does not exist"):
        write_preview(found, "photos", tmp_path / "none" / "p.png")
    assert os.listdir(tmp_path) == []


def test_variants_come_again_as_in_training(tmp_path, monkeypatch):
    rows = []
    monkeypatch.setattr(preview, "_sheet", lambda data, augmentation, found: rows.extend(found) or b"")
    rng = np.random.default_rng(0)
    found = data.arrays(rng.integers(0, 256, (4, 12, 9, 3), np.uint8), np.arange(4) % 2, val=0)
    write_preview(found, "photos", tmp_path / "p.png", pictures=4, epochs=3, variants=2)
    for _, (_, first, second, third) in rows:
        assert np.array_equal(first, third)
        assert not np.array_equal(first, second)
