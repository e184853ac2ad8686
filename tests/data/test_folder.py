"""Folders of photographs: what is found, what is set aside and named, how the split is chosen, what is refused."""

import os
import random
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data, images
from minitl.data.dataset import Item, divide, key
from minitl.data.scan import unreadable
from minitl.errors import ArgumentError, DataError


def picture(path, seed=0, size=(9, 7), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def photos(root, classes=("ant", "bee"), count=5, prefix=""):
    for i, name in enumerate(classes):
        for j in range(count):
            picture(root / prefix / name / f"{j}.png", seed=key(prefix, i, j))
    return root


def test_class_folders(tmp_path):
    found = data.folder(photos(tmp_path, ("bee", "ant", "cat")), val=0.4)
    assert found.classes == ("ant", "bee", "cat")
    assert found.counts("train") == {"ant": 3, "bee": 3, "cat": 3}
    assert found.counts("val") == {"ant": 2, "bee": 2, "cat": 2}
    assert {item.name for item in found.train + found.val} == {f"{c}/{j}.png" for c in found.classes for j in range(5)}
    assert all(item.name.startswith(found.classes[item.label]) for item in found.train + found.val)
    assert found.skipped == ()
    assert found.train[0].picture().shape == (7, 9, 3)
    assert "ant" in str(found)
    assert "9" in str(found)


@pytest.mark.parametrize("val_name", ["val", "valid", "validation"])
def test_folders_of_their_own_for_the_splits(tmp_path, val_name):
    photos(tmp_path, count=3, prefix="train")
    photos(tmp_path, count=2, prefix=val_name)
    photos(tmp_path, count=1, prefix="test")
    found = data.folder(tmp_path)
    assert found.counts("train") == {"ant": 3, "bee": 3}
    assert found.counts("val") == {"ant": 2, "bee": 2}
    assert {item.name.split("/")[0] for item in found.val} == {val_name}
    assert found.skipped == (("test/", "is neither the train nor the val folder"),)


def test_a_class_may_be_called_train(tmp_path):
    assert data.folder(photos(tmp_path, ("bus", "train"))).classes == ("bus", "train")


def test_the_split_is_chosen_by_seed_and_path_alone(tmp_path):
    here = data.folder(photos(tmp_path / "here", count=8), val=0.5, seed=3)
    for name in reversed(range(8)):  # another order of creation
        for i, kind in enumerate(("bee", "ant")):
            picture(tmp_path / "there" / kind / f"{name}.png", seed=10 * name + i)
    there = data.folder(tmp_path / "there", val=0.5, seed=3)
    assert here.val == there.val
    assert here.train == there.train
    assert data.folder(tmp_path / "here", val=0.5, seed=4).val != here.val


@given(
    counts=st.lists(st.integers(2, 12), min_size=2, max_size=4),
    val=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
    shuffle=st.randoms(use_true_random=False),
)
def test_every_class_is_in_both_splits_whatever_the_order(counts, val, seed, shuffle: random.Random):
    items = [Item(f"{k}/{i}", k, None) for k, count in enumerate(counts) for i in range(count)]
    train, held = divide(items, val, seed)
    assert sorted(item.name for item in train + held) == sorted(item.name for item in items)
    for part in (train, held):
        assert {item.label for item in part} == set(range(len(counts)))
    for k, count in enumerate(counts):
        wanted = min(max(val * count, 1), count - 1)
        assert abs(sum(item.label == k for item in held) - wanted) <= 0.5
    shuffle.shuffle(items)
    assert divide(items, val, seed) == (train, held)


def test_everything_or_nothing_may_be_held_out(tmp_path):
    photos(tmp_path)
    assert len(data.folder(tmp_path, val=0).train) == 10
    assert len(data.folder(tmp_path, val=1).val) == 10
    assert len(data.folder(photos(tmp_path / "one", ("ant",)), val=1, classes=["bee", "ant"]).val) == 5


def test_names_of_any_script(tmp_path):
    names = ("Ämeise", "蜂", "пчела & <b>")
    found = data.folder(photos(tmp_path, names, count=2), val=0.5)
    assert found.classes == tuple(sorted(names))
    assert key(0, unicodedata.normalize("NFD", "Ämeise")) == key(0, unicodedata.normalize("NFC", "Ämeise"))


def test_the_order_of_classes_may_be_given(tmp_path):
    photos(tmp_path)
    found = data.folder(tmp_path, classes=["bee", "ant"])
    assert found.classes == ("bee", "ant")
    assert all(item.name.startswith(found.classes[item.label]) for item in found.train)
    with pytest.raises(DataError, match="folder bee is none of the classes ant, cat"):
        data.folder(tmp_path, classes=["ant", "cat"])
    with pytest.raises(DataError, match="no folder for the class cat"):
        data.folder(tmp_path, classes=["ant", "bee", "cat"])
    with pytest.raises(DataError, match="ant named more than once"):
        data.folder(tmp_path, classes=["ant", "bee", "ant"])


def test_what_is_no_readable_picture_is_set_aside_and_named(tmp_path):
    photos(tmp_path)
    (tmp_path / "ant" / "empty.jpg").touch()
    (tmp_path / "ant" / "text.png").write_text("no picture")
    (tmp_path / "ant" / "placeholder.gif").write_bytes(b"GIF89a")
    (tmp_path / "bee" / "notes.txt").write_text("x")
    (tmp_path / "bee" / "deeper").mkdir()
    (tmp_path / "loose.jpg").touch()
    whole = picture(tmp_path / "bee" / "cut.jpg", size=(64, 64)).read_bytes()
    (tmp_path / "bee" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bee" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "bee" / ".hidden.jpg").touch()
    (tmp_path / ".cache").mkdir()
    found = data.folder(tmp_path)
    assert len(found.train + found.val) == 10
    reasons = dict(found.skipped)
    assert set(reasons) == {
        "ant/empty.jpg",
        "ant/text.png",
        "ant/placeholder.gif",
        "bee/notes.txt",
        "bee/deeper/",
        "loose.jpg",
        "bee/cut.jpg",
        "bee/gone.jpg",
    }
    assert "0 bytes" in reasons["ant/empty.jpg"]
    assert "no photograph" in reasons["ant/placeholder.gif"]
    assert str(tmp_path) not in reasons["bee/cut.jpg"]
    assert "set aside: 8" in str(found)


def test_links_are_followed(tmp_path):
    photos(tmp_path / "store")
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "ant").symlink_to(tmp_path / "store" / "ant")
    (tmp_path / "view" / "bee").mkdir()
    for j in range(3):
        (tmp_path / "view" / "bee" / f"{j}.png").symlink_to(tmp_path / "store" / "bee" / f"{j}.png")
    found = data.folder(tmp_path / "view")
    assert len(found.train + found.val) == 8


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99, 1])
def test_the_scan_agrees_with_the_decoder(tmp_path, mode, share):
    path = picture(tmp_path / "a.jpg", size=(70, 50), mode=mode)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    try:
        images.decode(path)
        readable = True
    except DataError:
        readable = False
    assert (unreadable(path) is None) == readable


def refused(build, tmp_path, words):
    build(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        data.folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def nothing(root):
    pass


def pictures_without_classes(root):
    picture(root / "a.png")


def one_class(root):
    photos(root, ("ant",))


def class_without_pictures(root):
    photos(root)
    (root / "cat").mkdir()


def class_without_readable_pictures(root):
    photos(root)
    (root / "cat").mkdir()
    for i in range(3):
        (root / "cat" / f"{i}.jpg").touch()


def single_picture(root):
    photos(root)
    picture(root / "cat" / "only.png")


def train_without_val(root):
    photos(root, prefix="train")


def val_without_train(root):
    photos(root, prefix="val")


def class_in_train_alone(root):
    photos(root, ("ant", "bee", "cat"), prefix="train")
    photos(root, prefix="val")


def class_in_val_alone(root):
    photos(root, prefix="train")
    photos(root, ("ant", "bee", "cat"), prefix="val")


def two_val_folders(root):
    for prefix in ("train", "val", "valid"):
        photos(root, prefix=prefix)


def class_empty_in_val(root):
    photos(root, prefix="train")
    photos(root, ("ant",), prefix="val")
    (root / "val" / "bee").mkdir()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (nothing, "has no class folders; put"),
        (pictures_without_classes, "has no class folders; put"),
        (one_class, "one class only .'ant'.; .* at least two"),
        (class_without_pictures, "class 'cat' has no readable picture to train on; add at least two"),
        (class_without_readable_pictures, "class 'cat' has no readable picture to train on; add"),
        (single_picture, "class 'cat' has no readable picture to validate on .of 1.; add"),
        (train_without_val, "has train/ but no val/; add val/<class>/"),
        (val_without_train, "has val/ but no train/; add train/<class>/"),
        (class_in_train_alone, "class cat is in train/ but not in val/; add val/cat/"),
        (class_in_val_alone, "class cat is in val/ but not in train/; add train/cat/"),
        (two_val_folders, "more than one train or val folder"),
        (class_empty_in_val, "class 'bee' has no readable picture to validate on .of 5.; add"),
    ],
)
def test_folders_that_teach_nothing_are_refused_in_one_line(tmp_path, build, words):
    refused(build, tmp_path, words)


def test_paths_that_are_no_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        data.folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a file"):
        data.folder(picture(tmp_path / "a.png"))


@pytest.mark.parametrize("settings", [{"val": -0.1}, {"val": 1.5}, {"val": float("nan")}, {"val": "x"}, {"seed": -1}])
def test_settings_outside_their_domain(tmp_path, settings):
    with pytest.raises(ArgumentError, match=next(iter(settings))):
        data.folder(photos(tmp_path), **settings)


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="train, val; got 'test'"):
        data.folder(photos(tmp_path)).counts("test")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_links_to_themselves_are_set_aside(tmp_path):
    photos(tmp_path)
    os.mkfifo(tmp_path / "ant" / "pipe.jpg")
    (tmp_path / "bee" / "loop.jpg").symlink_to(tmp_path / "bee" / "loop.jpg")
    found = data.folder(tmp_path)
    assert len(found.train + found.val) == 10
    reasons = dict(found.skipped)
    assert set(reasons) == {"ant/pipe.jpg", "bee/loop.jpg"}
    assert "is no regular file" in reasons["ant/pipe.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such a name cannot be")
def test_a_class_whose_name_is_no_text_is_refused_at_once(tmp_path):
    photos(tmp_path)
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(DataError, match=r"folder 'caf\\udce9' is not valid text") as caught:
        data.folder(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_path_is_no_folder():
    with pytest.raises(DataError, match="path must be"):
        data.folder(None)


def test_memory_that_runs_out_is_not_the_picture_s_fault(tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise MemoryError

    path = picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(DataError, match="not enough memory"):
        images.decode(path)
