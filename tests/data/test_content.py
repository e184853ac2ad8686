"""Pictures that are there twice: found by their bytes, read only where size and middle agree, and warned of."""

import os
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data
from minitl.data import Dataset, Item, content

RNG = np.random.default_rng(3)


def noise(count, shape=(6, 5, 3)):
    return RNG.integers(0, 256, (count, *shape), np.uint8)


def file(path, seed, size=(9, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_picture_in_both_splits_is_named_and_warned_of(tmp_path):
    for split, names in (("train", "abcd"), ("val", "efgh")):
        for i, name in enumerate(names):
            file(tmp_path / split / ("ant" if i < 2 else "bee") / f"{name}.png", seed=ord(name))
    file(tmp_path / "val" / "ant" / "again.png", seed=ord("a"))
    file(tmp_path / "val" / "bee" / "twice.png", seed=ord("c"))
    with pytest.warns(UserWarning, match=r"val are in train too.*train/ant/a.png = .* 2 of 6 in val.*remove") as caught:
        found = data.folder(tmp_path)
    assert found.duplicates == (("train/ant/a.png", "val/ant/again.png"), ("train/bee/c.png", "val/bee/twice.png"))
    assert found.conflicts == ()
    assert [warning.filename for warning in caught] == [__file__]


def test_twins_of_different_labels_are_named_wherever_they_are(tmp_path):
    for kind in ("ant", "bee"):
        for i in range(4):
            file(tmp_path / kind / f"{i}.png", seed=i + 10 * (kind == "bee"))
    file(tmp_path / "bee" / "wrong.png", seed=2)
    with pytest.warns(UserWarning, match=r"different labels \(ant/2.png = bee/wrong.png; 1 in all\).* remove it"):
        found = data.folder(tmp_path, val=0)
    assert found.conflicts == (("ant/2.png", "bee/wrong.png"),)
    assert found.duplicates == ()


def test_nothing_is_said_where_nothing_is_twice(tmp_path):
    for i in range(8):
        file(tmp_path / "ab"[i % 2] / f"{i}.png", seed=i)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.folder(tmp_path).duplicates == ()
        data.arrays(noise(9), np.arange(9) % 3)


def test_twins_within_one_split_of_one_class_are_no_matter():
    pictures = noise(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.arrays(np.concatenate([pictures, pictures]), [0, 1, 0, 1], val=0)


@given(
    kinds=st.lists(st.integers(0, 5), min_size=2, max_size=24),
    held=st.integers(0, 24),
    labels=st.lists(st.integers(0, 2)),
)
def test_arrays_against_a_search_of_all_pairs(kinds, held, labels):
    pictures = noise(6)
    labels = (labels + [0] * len(kinds))[: len(kinds)]
    items = [
        Item(f"{i:02d}", label, pictures[kind].copy())
        for i, (kind, label) in enumerate(zip(kinds, labels, strict=True))
    ]
    found = Dataset(("a", "b", "c"), tuple(items[held:]), tuple(items[:held]))
    assert {name for _, name in found.duplicates} == {
        a.name for a in found.val if any(np.array_equal(a.source, b.source) for b in found.train)
    }
    assert all(np.array_equal(items[int(a)].source, items[int(b)].source) for a, b in found.duplicates)
    torn = {a.name for a in items for b in items if np.array_equal(a.source, b.source) and a.label != b.label}
    assert bool(found.conflicts) == bool(torn)
    assert {name for pair in found.conflicts for name in pair} <= torn


def test_only_pictures_of_equal_size_and_middle_are_read_whole(tmp_path, monkeypatch):
    small = [Item(f"{i}", 0, file(tmp_path / f"{i}.png", i, (4, 4 + i))) for i in range(5)]
    large = []
    for i in range(4):
        path = tmp_path / f"{i}.bmp"
        path.write_bytes(bytes(20_000) + bytes([i // 2]) + bytes(20_000) + bytes([i]))
        large.append(Item(path.name, 0, path))
    assert len({item.size() for item in small}) == 5
    read = []
    of_file = content.of_file
    monkeypatch.setattr(content, "of_file", lambda path: read.append(path.name) or of_file(path))
    assert content.twins(small) == []
    assert read == []
    assert content.twins(large) == []  # alike in twos by the middle, different at the end
    assert sorted(read) == ["0.bmp", "1.bmp", "2.bmp", "3.bmp"]
    (tmp_path / "4.bmp").write_bytes(bytes(20_000) + bytes([9]) + bytes(20_000) + bytes([9]))
    read.clear()
    assert content.twins([*large[::2], Item("4.bmp", 0, tmp_path / "4.bmp")]) == []
    assert read == []


def test_a_file_is_digested_in_pieces_and_a_lost_one_is_nobodys_twin(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as handle:
        os.truncate(handle.fileno(), 3 << 20)
    assert content.of_file(path) == content.new_digest(bytes(3 << 20)).digest()
    gone = [Item(name, 0, tmp_path / name) for name in "ab"]
    assert gone[0].digest() is gone[0].size() is gone[0].glimpse() is None
    assert content.twins(gone) == []


@dataclass(frozen=True)
class Tile(Item):
    """A part of a picture file that others share."""

    row: int = 0

    def picture(self):
        return super().picture()[self.row : self.row + 1]


def test_pictures_made_of_one_file_are_told_apart_by_their_pixels(tmp_path):
    pixels = noise(1, (4, 5, 3))[0]
    pixels[3] = pixels[1]
    Image.fromarray(pixels).save(tmp_path / "sheet.png")
    tiles = [Tile(str(row), 0, tmp_path / "sheet.png", row) for row in range(4)]
    assert Dataset(("a",), tuple(tiles[:2]), tuple(tiles[2:])).duplicates == (("1", "3"),)
    for tile in tiles:  # what is loaded is the part, too
        assert np.array_equal(np.asarray(tile.image()), tile.picture())


def test_grey_and_views_of_arrays():
    grey = noise(3, (6, 5))
    items = [Item("0", 0, grey[0]), Item("1", 0, grey[0].T.copy().T), Item("2", 0, grey[1])]
    assert [[item.name for item in group] for group in content.twins(items)] == [["0", "1"]]
