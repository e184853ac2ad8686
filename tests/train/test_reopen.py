"""A run's folder is enough to go on: network, pictures and settings are made anew from it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from minitl import data, optim
from minitl.errors import ArgumentError, DataError, WeightError
from minitl.images import Augmentation
from minitl.train import description, reopen

pytestmark = [
    pytest.mark.filterwarnings("ignore:every validation picture"),
    pytest.mark.filterwarnings("ignore:the last epoch was the best"),
]


@pytest.fixture
def photos(small, tmp_path):
    found = small.pictures(30)
    for item in (*found.train, *found.val):
        path = tmp_path / "photos" / found.classes[item.label] / f"{item.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(item.picture()).save(path)
    return data.folder(tmp_path / "photos", val=0.4, classes=found.classes)


SETTINGS = [
    {},
    {"lr": None},
    {"optimizer": "rmsprop", "schedule": optim.WarmUp(1, optim.CosineSchedule()), "ema": 0.9, "accumulate": 2},
    {"augmentation": Augmentation(flip=0.5, rotate=20), "variants": 2, "class_weight": [1.0, 2.0]},
    {"optimizer": "adam", "lr": None, "sampling": "balanced", "clip_norm": 1.0, "early_stopping": 9, "cache": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings) or "plain")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_reopened_run_goes_on_to_the_same_bits(small, photos, tmp_path, settings, dtype):
    def net():
        made = small.network(seed=4, dtype=dtype).freeze("conv1").set_lr({"fc1": 2.0})
        made.save(tmp_path / "base.h5")
        return made

    whole = small.trainer(net(), photos, **settings)
    whole.fit(3)
    broken = small.trainer(net(), photos, folder=tmp_path / "run", **settings)
    broken.provenance["weights"] = description.weights_json("base.h5", tmp_path / "base.h5")
    with small.stopped(3):
        broken.fit(3)
    before = json.loads((tmp_path / "run" / "run.json").read_text())
    trainer = reopen(tmp_path / "run", progress=False)
    assert trainer.resume() == trainer.history
    assert small.rows(trainer.history) == small.rows(whole.history)
    assert small.arrays(trainer.net) == small.arrays(whole.net)
    assert trainer.settings == whole.settings
    assert trainer.net.preprocessing == whole.net.preprocessing
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == before


def test_pictures_are_those_that_it_began_with(small, photos, tmp_path):
    """What was added is not used, what is gone is left out in its turn, as in a training that never stopped."""
    broken = small.trainer(found=photos, folder=tmp_path / "run")
    with small.stopped(3):
        broken.fit(3)
    folder = tmp_path / "photos"
    gone = photos.train[0].name
    (folder / gone).unlink()
    shutil.copy(folder / photos.train[1].name, folder / "dark" / "new.png")
    with pytest.raises(DataError, match="other pictures"):
        small.trainer(found=data.folder(folder, val=0.4, classes=photos.classes), folder=tmp_path / "run").resume()
    trainer = reopen(tmp_path / "run", progress=False)
    trainer.resume()
    assert not trainer.values.skipped, "its value had been kept in features.h5"
    assert [item.name for item in trainer.data.train] == [item.name for item in photos.train]


def test_a_picture_that_changed_since_is_named(small, photos, tmp_path):
    broken = small.trainer(found=photos, folder=tmp_path / "run")
    with small.stopped(3):
        broken.fit(3)
    name = photos.train[2].name
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "photos" / name)
    touched = tmp_path / "photos" / photos.train[3].name
    touched.write_bytes(touched.read_bytes())
    with pytest.warns(UserWarning, match=rf"1 of its pictures changed since the run began \({name}\)") as told:
        reopen(tmp_path / "run", progress=False).resume()
    assert not any(photos.train[3].name in str(w.message) for w in told)


def test_frozen_layers_that_were_drawn_are_drawn_again(small, photos, tmp_path):
    """Such as those of a new head: they are in no weight file."""
    net = small.network(seed=7).freeze("conv2")
    broken = small.trainer(net, photos, folder=tmp_path / "run", seed=7)
    with small.stopped(3):
        broken.fit(3)
    whole = small.trainer(small.network(seed=7).freeze("conv2"), photos, seed=7)
    whole.fit(3)
    trainer = reopen(tmp_path / "run", progress=False)
    trainer.resume()
    assert small.arrays(trainer.net) == small.arrays(whole.net)


def test_without_its_weight_file_frozen_layers_cannot_be_had(small, photos, tmp_path):
    broken = small.trainer(small.network(seed=7).freeze("conv2"), photos, folder=tmp_path / "run")
    with small.stopped(3):
        broken.fit(3)
    with pytest.raises(WeightError, match=r"run\.json: does not say which weight file .* give --weights"):
        reopen(tmp_path / "run", progress=False)
    small.network(seed=7).save(tmp_path / "base.h5")
    assert len(reopen(tmp_path / "run", tmp_path / "base.h5", progress=False).resume()) == 3


class Own:
    """A schedule of one's own."""

    def rate(self, base, epoch):
        return base


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": lambda p, lr: optim.SGD(p, lr, 0.9)}, "an optimizer of its own"),
        ({"schedule": Own()}, "a schedule of its own"),
    ],
    ids=["optimizer", "schedule"],
)
def test_what_a_file_cannot_describe_is_resumed_in_python(small, photos, tmp_path, settings, words):
    def trainer():
        return small.trainer(found=photos, folder=tmp_path / "run", **settings)

    with small.stopped(3):
        trainer().fit(2)
    with pytest.raises(ArgumentError, match=rf"begun in Python with {words}; resume it there"):
        reopen(tmp_path / "run", progress=False)
    assert len(trainer().resume()) == 2


def test_pictures_in_no_folder_are_resumed_in_python(small, tmp_path):
    with small.stopped(3):
        small.trainer(folder=tmp_path / "run").fit(2)
    with pytest.raises(DataError, match=r"pictures that lie in no folder; resume it there"):
        reopen(tmp_path / "run", progress=False)
