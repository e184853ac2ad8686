"""Wherever labelled pictures lie, they are read by what that is."""

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from minitl import cli, data, models
from minitl.errors import DataError

PICTURES = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3), np.uint8)


@pytest.fixture
def photos(tmp_path):
    for i, picture in enumerate(PICTURES):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "photos"


def test_folders_tables_and_files_of_arrays(tmp_path, photos):
    assert data.read(photos, val=0.5, seed=3) == data.folder(photos, val=0.5, seed=3)
    (photos / "x.npy").write_bytes(b"a stray file")
    assert data.read(photos).skipped == (("x.npy", "lies in no class folder"),)
    for name, delimiter in (("t.csv", ","), ("t.TSV", "\t")):
        lines = [f"photos/{'ab'[i % 2]}/{i}.png{delimiter}{'ab'[i % 2]}" for i in range(8)]
        (tmp_path / name).write_text("\n".join([f"file{delimiter}label", *lines]))
        found = data.read(tmp_path / name, val=0.5, seed=2, classes=["b", "a"])
        assert found == data.csv(tmp_path / name, val=0.5, seed=2, classes=["b", "a"])
        assert found.classes == ("b", "a")
    np.savez(tmp_path / "arrays", x=PICTURES, y=np.arange(8) % 2)
    assert data.read(tmp_path / "arrays.npz").train[0].name.startswith("x/")
    with h5py.File(tmp_path / "arrays", "w") as file:
        file["images"], file["labels"] = PICTURES, np.arange(8) % 2
    assert data.read(str(tmp_path / "arrays")).train[0].name.startswith("images/")


def test_what_is_none_of_them(tmp_path, photos):
    for path, words in (
        (tmp_path / "nothing", "there is no such file or folder"),
        (tmp_path / "nothing.csv", "there is no such file"),
        (photos / "a" / "0.png", "is a file of another kind; give a folder of pictures, a .csv"),
        (tmp_path, "holds no picture that can be read"),
    ):
        with pytest.raises(DataError, match=words):
            data.read(path)
    np.save(tmp_path / "x.npy", PICTURES)
    with pytest.raises(DataError, match=r"is one array; give the folder that holds x.npy and y.npy"):
        data.read(tmp_path / "x.npy")
    with pytest.raises(DataError, match="got NoneType"):
        data.read(None)


def test_the_command_evaluates_on_all_of_them(tmp_path, photos, capsys):
    net = models.small_vgg(2, classes=["a", "b"])
    net.save(tmp_path / "w.h5")
    (tmp_path / "t.csv").write_text(
        "file,label\n" + "".join(f"photos/{'ab'[i % 2]}/{i}.png,{'ab'[i % 2]}\n" for i in range(8))
    )
    np.savez(tmp_path / "d.npz", x=PICTURES, y=np.arange(8) % 2, classes=np.array(["a", "b"]))
    losses = []
    for name in ("photos", "t.csv", "d.npz"):
        assert cli.main(["evaluate", str(tmp_path / "w.h5"), str(tmp_path / name), "--json", "--no-progress"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["pictures"] == 8
        losses.append(round(found["loss"], 6))
    assert len(set(losses)) == 1
    assert cli.main(["evaluate", str(tmp_path / "w.h5"), str(tmp_path / "w.h5")]) == 1
    assert "holds no pictures and labels" in capsys.readouterr().err


@pytest.mark.parametrize("read", [data.read, data.folder, data.csv, data.hdf5, data.npz])
def test_a_path_too_long(read):
    with pytest.raises(DataError, match=r"x: cannot be reached \(.*\); check the path"):
        read("x" * 5000)
