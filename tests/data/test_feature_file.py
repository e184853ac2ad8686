"""Values of frozen layers on disk: taken back bit for bit, or computed anew; a bad file harms nothing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data, nn
from minitl.data import feature_file
from minitl.errors import ShapeError, WeightError
from minitl.images import Augmentation, Preprocessing
from minitl.weights import atomic

PICTURES = np.random.default_rng(1).integers(0, 256, (6, 12, 12, 3), np.uint8)
CHANGES = Augmentation(pad=3, flip=0.5)


def network(preprocessing=None):
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 2, 6),
        nn.Flatten(),
        input_shape=(3, 12, 12),
        preprocessing=preprocessing or Preprocessing(resize="exact", size=12),
    )
    return net.freeze("conv1")


@pytest.fixture
def items(tmp_path):
    made = []
    for i, picture in enumerate(PICTURES):
        path = tmp_path / "pictures" / f"蜂 {i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        made.append(data.Item(path.name, i % 2, path))
    return [*made[:4], data.Item("4", 0, PICTURES[4]), data.Item("5", 1, PICTURES[5, ..., 0])]


def frozen(net=None, **settings):
    return data.FrozenValues(network() if net is None else net, **settings)


def filled(items, **settings):
    values = frozen(**settings)
    values.fill(items)
    if values.variants:
        for epoch in range(values.variants):
            list(values.stream(items, epoch))
    return values


def kept(values):
    return {name: (stamp, value.tobytes()) for name, (stamp, value) in values._kept.items()}


@pytest.mark.parametrize(
    "settings", [{}, {"augmentation": CHANGES, "variants": 2, "seed": 3}, {"augmentation": CHANGES}]
)
def test_what_was_saved_is_restored_bit_for_bit(items, tmp_path, settings, monkeypatch):
    values = filled(items, **settings)
    values.save(tmp_path / "features.h5")
    assert sorted(os.listdir(tmp_path)) == ["features.h5", "pictures"]
    again = frozen(**settings)
    assert again.restore(tmp_path / "features.h5")
    assert kept(again) == kept(values)
    assert again.memory == values.memory
    monkeypatch.setattr(again, "_computed", None)  # would fail if called
    assert [item.name for item, _ in again.stream(items)] == [item.name for item in items]
    if again.variants:
        assert len(list(again.stream(items, 7))) == len(items)


def test_other_tools_read_it(items, tmp_path):
    values = filled(items)
    values.save(tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as h:
        assert h["values"].shape == (6, 5, 6, 6)
        assert h["values"].dtype == np.float32
        rows = json.loads(h.attrs["pictures"])
    assert [row[0] for row in rows] == [item.name for item in items]


def test_pictures_that_changed_since_or_are_gone(items, tmp_path):
    values = filled(items)
    values.save(tmp_path / "f.h5")
    before = {item.name: value for item, value in values.stream(items)}
    items[0].source.unlink()
    Image.fromarray(PICTURES[5]).save(items[1].source)
    os.utime(items[1].source, ns=(1, 1))
    again = frozen()
    assert again.restore(tmp_path / "f.h5")
    after = {item.name: value for item, value in again.stream(items)}
    assert [name for name in before if not np.array_equal(before[name], after[name])] == [items[1].name]


OTHERS = {
    "weights": lambda net: net["conv1.weight"].assign(net["conv1.weight"].numpy() * 2),
    "graph": lambda net: None,
    "cut": lambda net: net.freeze("conv2"),
    "preprocessing": lambda net: setattr(net, "preprocessing", Preprocessing(resize="exact", size=12, scale=1.0)),
}


@pytest.mark.parametrize("other", [*OTHERS, "augmentation", "seed", "dtype"])
def test_values_that_were_made_otherwise_are_not_taken(items, tmp_path, other, recwarn):
    settings = {"augmentation": CHANGES, "variants": 1}
    filled(items, **settings).save(tmp_path / "f.h5")
    net = network()
    if other == "graph":
        net = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),  # the same arrays, the same shapes
            nn.Conv2d(5, 2, 6),
            nn.Flatten(),
            input_shape=(3, 12, 12),
            preprocessing=net.preprocessing,
        ).freeze("conv1")
    elif other == "dtype":
        net = net.astype(np.float64)
    elif other in OTHERS:
        OTHERS[other](net)
    settings |= {"augmentation": {"augmentation": Augmentation(pad=2)}, "seed": {"seed": 1}}.get(other, {})
    values = frozen(net, **settings)
    assert not values.restore(tmp_path / "f.h5")
    assert values.memory == 0
    assert not recwarn.list
    assert frozen(augmentation=CHANGES, variants=3).restore(tmp_path / "f.h5")  # more variants: those there serve


def test_what_trains_above_the_cut_does_not_matter(items, tmp_path):
    filled(items).save(tmp_path / "f.h5")
    net = network()
    net["conv2.weight"].assign(net["conv2.weight"].numpy() * 2)
    assert frozen(net).restore(tmp_path / "f.h5")


def test_nothing_kept_nothing_written(items, tmp_path):
    frozen().save(tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()
    assert not frozen().restore(tmp_path / "f.h5")
    filled(items).save(tmp_path / "f.h5")
    assert not frozen(keep=False).restore(tmp_path / "f.h5")
    assert not frozen(limit=6 * 5 * 6 * 6 * 4 - 1).restore(tmp_path / "f.h5")
    assert frozen(limit=6 * 5 * 6 * 6 * 4).restore(tmp_path / "f.h5")


def refused(path, values=None):
    """Asserts that the file is warned of in one line and changes nothing."""
    values = frozen() if values is None else values
    with pytest.warns(UserWarning, match="computed anew") as caught:
        assert not values.restore(path)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(f"{path}: ")
    assert "\n" not in str(caught[0].message)
    assert values.memory == 0
    return str(caught[0].message)


def test_files_that_are_no_such_file(tmp_path):
    path = tmp_path / "f.h5"
    for content in (b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        refused(path)
    network().save(path)
    assert "does not hold values of frozen layers" in refused(path)
    refused(tmp_path)


def sealed(path, key, pictures, values):
    """A file whose hash is right, whatever it holds."""
    digest = hashlib.sha256(f"{key}\0{pictures}\0".encode() + values.tobytes()).hexdigest()
    with h5py.File(path, "r+") as h:
        del h["values"]
        h["values"] = values
        for name, text in (("pictures", pictures), ("sha256", digest)):
            h.attrs.create(name, np.array(text.encode(), h5py.string_dtype("ascii", len(text))))


VALUES = np.zeros((2, 5, 6, 6), np.float32)


@pytest.mark.parametrize(
    ("pictures", "values"),
    [
        ('[["a", null, [1, 2]]]', VALUES),  # two values, one name
        ('[["a", null, [1, 2]], ["b", null, [1, 2]]]', VALUES[:, :4]),
        ('[["a", null, [1, 2]], ["b", null, [1, 2]]]', VALUES.astype(np.float64)),
        ('[["a", null, [1, 2]], ["b", null, [1, 2]]]', VALUES.astype(np.int32)),
        ('[["a", null, [1, 2]], [7, null, [1, 2]]]', VALUES),
        ('[["a", null, [1, 2]], ["b", true, [1, 2]]]', VALUES),
        ('[["a", null, [1, 2]], ["b", null, {"digest": "no"}]]', VALUES),
        ('[["a", null, [1, 2]], ["b"]]', VALUES),
        ("[" * 10000, VALUES),
        ("{", VALUES),
        ("7", VALUES),
        ("[]", np.float32(1)),
    ],
)
def test_contents_that_make_no_sense(items, tmp_path, pictures, values):
    path = tmp_path / "f.h5"
    made = filled(items)
    made.save(path)
    sealed(path, made._key(), '[["a", null, [1, 2]], ["b", null, [1, 2]]]', VALUES)
    assert frozen().restore(path)
    sealed(path, made._key(), pictures, values)
    refused(path)


def test_a_newer_version_or_values_elsewhere(items, tmp_path):
    path = tmp_path / "f.h5"
    filled(items).save(path)
    with h5py.File(path, "r+") as h:
        h.attrs["format_version"] = 2
    assert "upgrade minitl" in refused(path)
    filled(items).save(path)
    with h5py.File(path, "r+") as h:
        del h["values"]
        h["values"] = h5py.ExternalLink("/etc/passwd", "/values")
    assert "link" in refused(path)


@given(draw=st.data())
def test_damage_anywhere(tmp_path_factory, draw):
    """A file cut off or altered anywhere is refused, or every value in it is as it was."""
    folder = tmp_path_factory.getbasetemp() / "damage"
    if not folder.exists():
        folder.mkdir()
        filled([data.Item(str(i), 0, PICTURES[i]) for i in range(6)]).save(folder / "whole.h5")
    values = frozen()
    assert values.restore(folder / "whole.h5")
    content = bytearray((folder / "whole.h5").read_bytes())
    keep = draw.draw(st.just(len(content)) | st.integers(0, len(content)), label="bytes kept")
    for place in draw.draw(st.lists(st.integers(0, len(content) - 1), max_size=3), label="bytes altered"):
        content[place] ^= draw.draw(st.integers(1, 255))
    (folder / "damaged.h5").write_bytes(content[:keep])
    again = frozen()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        restored = again.restore(folder / "damaged.h5")
    assert kept(again) == (kept(values) if restored else {})


def test_a_failed_write_leaves_the_old_file(items, tmp_path, monkeypatch):
    path = tmp_path / "f.h5"
    filled(items[:2]).save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(WeightError, match="the disk is full"):
        filled(items).save(path)
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["f.h5", "pictures"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("size", [1000, 400_000])
def test_a_disk_that_ends_midway(tmp_path, size):
    """The system really refuses the bytes after the first so many."""
    program = """
import resource, signal, sys
import numpy as np
from minitl.data import feature_file
from minitl.errors import WeightError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
values = np.ones((100, 2000), np.float32)
try:
    feature_file.write(sys.argv[1], "key", [(str(i), None, (1, 2)) for i in range(100)], list(values))
except WeightError as error:
    print(error)
"""
    path = tmp_path / "f.h5"
    words = [sys.executable, "-c", program, str(path), str(size)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []


def test_no_second_copy_in_memory(tmp_path):
    values = [np.full(1 << 18, i, np.float32) for i in range(48)]
    tracemalloc.start()
    try:
        feature_file.write(tmp_path / "f.h5", "key", [(str(i), None, None) for i in range(48)], values)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * feature_file.PIECE_BYTES < sum(value.nbytes for value in values)
    _, found = feature_file.read(tmp_path / "f.h5", "key", None, np.dtype(np.float32), 1 << 30)
    assert np.array_equal(found, np.stack(values))
    shutil.rmtree(tmp_path)


def test_values_of_different_shapes(tmp_path):
    with pytest.raises(ShapeError, match=r"different shapes, \(2,\) and \(3,\)"):
        feature_file.write(tmp_path / "f.h5", "key", [("a", None, None)] * 2, [np.zeros(2), np.zeros(3)])
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(WeightError, match="pipe: is no regular file, so it is not replaced; choose another path"):
        feature_file.write(pipe, "key", [("a", None, None)], [np.zeros(3, np.float32)])
    assert pipe.is_fifo()
