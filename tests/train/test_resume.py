"""Resuming: the same bits as if nothing had happened, under every setting; and only what belongs together."""

from __future__ import annotations

import contextlib
import os
import signal

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import data, optim
from minitl.errors import ArgumentError, DataError, WeightError
from minitl.train import Trainer
from minitl.train.loop import Loop
from minitl.train.state import Progress

pytestmark = [
    pytest.mark.filterwarnings("ignore:every validation picture"),
    pytest.mark.filterwarnings("ignore:the last epoch was the best"),
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals"),
]

OPTIMIZERS = st.sampled_from(
    [{"momentum": 0.9}, {"momentum": 0.0}, {"optimizer": "adam"}, {"optimizer": "adamw"}, {"optimizer": "rmsprop"}]
)
SCHEDULES = st.sampled_from(
    [optim.ConstantSchedule(), optim.StepSchedule(1, 0.5), optim.CosineSchedule(), optim.OneCycleSchedule(),
     optim.WarmUp(1.5, optim.CosineSchedule())]
)  # fmt: skip


@given(
    optimizer=OPTIMIZERS,
    schedule=SCHEDULES,
    accumulate=st.integers(1, 3),
    clip_norm=st.sampled_from([None, 0.5]),
    ema=st.sampled_from([None, 0.8]),
    balance=st.sampled_from([{}, {"class_weight": "auto"}, {"sampling": "balanced"}]),
    cache=st.booleans(),
    freeze=st.sampled_from([(), ("conv1",), ("batch_norm1",), ("conv*",)]),
    dtype=st.sampled_from(["float32", "float64"]),
    stops=st.lists(st.integers(1, 9), min_size=1, max_size=2),
)
def test_interrupted_and_resumed_is_unbroken(
    small, tmp_path_factory, optimizer, schedule, accumulate, clip_norm, ema, balance, cache, freeze, dtype, stops
):
    settings = {"schedule": schedule, "accumulate": accumulate, "clip_norm": clip_norm, "ema": ema, "cache": cache}
    settings |= {**optimizer, **balance, "label_smoothing": 0.1}
    folder = tmp_path_factory.mktemp("resume") / "run"

    def trainer(**more):
        net = small.network(dtype=dtype)
        if freeze:
            net.freeze(*freeze)
        return small.trainer(net, **settings, **more)

    whole = trainer()
    history = whole.fit(3)
    for number in stops:
        broken = trainer(folder=folder)
        with small.stopped(number):
            _ = broken.resume() if broken.run.begun else broken.fit(3)
    last = trainer(folder=folder)
    last.resume()
    assert small.rows(last.history) == small.rows(history)
    assert (last.history.start, last.history.best) == (history.start, history.best)
    assert small.arrays(last.net) == small.arrays(whole.net)


def test_the_step_is_finished_and_kept(small, tmp_path):
    trainer = small.trainer(folder=tmp_path)
    with small.stopped(6):  # the second of the second epoch: 16 pictures, 4 a step
        history = trainer.fit(5)
    assert history.interrupted
    progress = Progress(**trainer.run.latest().training["progress"])
    assert (progress.epoch, progress.steps, progress.position, progress.finished) == (2, 2, 8, False)
    assert len(history) == 1
    assert not trainer.resume().interrupted
    assert len(history) == 5


def test_an_interrupt_while_validating_is_kept_too(small, tmp_path, monkeypatch):
    whole = small.trainer()
    whole.fit(3)
    from minitl.train import loop

    plain, calls = loop.validate, []

    def interrupted(*arguments):
        calls.append(0)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(*arguments)

    monkeypatch.setattr(loop, "validate", interrupted)
    trainer = small.trainer(folder=tmp_path)
    assert len(trainer.fit(3)) == 1
    monkeypatch.undo()
    assert Progress(**trainer.run.latest().training["progress"]).position == len(trainer.data.train)
    trainer.resume()
    assert small.arrays(trainer.net) == small.arrays(whole.net)
    assert small.rows(trainer.history) == small.rows(whole.history)


def test_a_second_interrupt_waits_for_nothing(small, tmp_path, monkeypatch):
    plain = Loop._step
    reached = []

    def step(self, group, epoch):
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("first")
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("second")
        plain(self, group, epoch)

    monkeypatch.setattr(Loop, "_step", step)
    trainer = small.trainer(folder=tmp_path)
    assert trainer.fit(2).interrupted
    assert reached == ["first"]
    monkeypatch.undo()
    assert len(trainer.resume()) == 2


def test_sigterm_is_as_ctrl_c_where_it_raises(small, tmp_path):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        trainer = small.trainer(folder=tmp_path)
        plain, Loop._step = Loop._step, lambda self, *a: (os.kill(os.getpid(), signal.SIGTERM), plain(self, *a))
        try:
            assert trainer.fit(2).interrupted
        finally:
            Loop._step = plain
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)
    assert trainer.run.latest().training["progress"]["steps"] == 1


# What is finished


def test_a_finished_training_comes_back_untrained(small, tmp_path, monkeypatch):
    trainer = small.trainer(folder=tmp_path)
    history = trainer.fit(3)
    again = small.trainer(folder=tmp_path)
    monkeypatch.setattr(Loop, "run", lambda self: pytest.fail("there is nothing to train"))
    assert again.resume() == history
    assert again.resume(epochs=3) == history
    assert small.arrays(again.net) == small.arrays(trainer.net)
    assert again.lr == trainer.lr
    assert again.net.classes == ["dark", "bright"]


@pytest.mark.parametrize("stop", [0, 5])
def test_more_epochs_are_as_if_asked_for_at_once(small, tmp_path, stop):
    settings = {"schedule": optim.StepSchedule(2), "ema": 0.9, "optimizer": "adam"}
    whole = small.trainer(**settings)
    whole.fit(5)
    trainer = small.trainer(folder=tmp_path, **settings)
    with small.stopped(stop):
        trainer.fit(3)
    trainer.resume(epochs=5)
    assert small.rows(trainer.history) == small.rows(whole.history)
    assert small.arrays(trainer.net) == small.arrays(whole.net)


def test_fewer_epochs_are_refused(small, tmp_path):
    trainer = small.trainer(folder=tmp_path)
    with small.stopped(6):
        trainer.fit(3)
    with pytest.raises(ArgumentError, match=r"epochs=2, but .* was begun for 3 already"):
        trainer.resume(epochs=2)
    trainer.resume()
    with pytest.raises(ArgumentError, match=r"epochs=2, but .* has trained 3 already"):
        trainer.resume(epochs=2)
    with pytest.raises(ArgumentError, match="epochs must be a positive int"):
        trainer.resume(epochs=0)


def test_fit_does_not_write_over_a_training(small, tmp_path):
    trainer = small.trainer(folder=tmp_path)
    with small.stopped(6):
        trainer.fit(3)
    for other in (trainer, small.trainer(folder=tmp_path)):
        with pytest.raises(ArgumentError, match=r"unfinished training \(epoch 2 of 3\).*resume"):
            other.fit(3)
    trainer.resume()
    with pytest.raises(ArgumentError, match=r"finished training of 3 epochs.*resume"):
        small.trainer(folder=tmp_path).fit(3)
    assert len(trainer.fit(2)) == 5, "the trainer that it belongs to goes on"
    assert small.trainer(folder=tmp_path).resume() == trainer.history


def test_killed_before_its_first_checkpoint_it_begins_anew(small, tmp_path, monkeypatch):
    def killed(*arguments, **named):
        raise SystemExit

    whole = small.trainer()
    whole.fit(3)
    with monkeypatch.context() as patched:
        patched.setattr("minitl.train.trainer.prepare", killed)
        with pytest.raises(SystemExit):
            small.trainer(folder=tmp_path).fit(3)
    assert (tmp_path / "run.json").exists()
    with pytest.raises(WeightError, match=r"began with other weights: conv1\.weight"):
        small.trainer(small.network(seed=1), folder=tmp_path).resume()
    trainer = small.trainer(folder=tmp_path)
    trainer.resume()
    assert small.arrays(trainer.net) == small.arrays(whole.net)
    other = small.trainer(folder=tmp_path / "other")
    with monkeypatch.context() as patched:
        patched.setattr("minitl.train.trainer.prepare", killed)
        with pytest.raises(SystemExit):
            other.fit(3)
    assert len(small.trainer(folder=tmp_path / "other").fit(1)) == 1, "fit may begin it again, too"


def test_no_folder_no_run(small, tmp_path):
    with pytest.raises(ArgumentError, match=r"resume: needs the folder"):
        small.trainer().resume()
    with pytest.raises(DataError, match=r"holds no run \(no run.json\); begin one"):
        small.trainer(folder=tmp_path).resume()
    for content, words in (("{", "cannot be read"), ("[]", "not written by minitl")):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(DataError, match=words):
            small.trainer(folder=tmp_path).resume()


# What does not belong together


@pytest.fixture
def begun(small, tmp_path):
    """A folder with an unfinished training whose conv1 is frozen."""
    trainer = small.trainer(small.network().freeze("conv1"), folder=tmp_path / "run")
    with small.stopped(6):
        trainer.fit(3)
    return tmp_path / "run"


def other_network(small):
    net = small.network().freeze("conv1")
    return type(net)(
        [n if n.name != "dropout1" else type(n)(n.name, type(n.layer)(0.4), n.inputs) for n in net.graph],
        input_shape=net.input_shape, preprocessing=net.preprocessing,
    ).freeze("conv1")  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda s: {"net": other_network(s)}, WeightError, r"network: .*dropout1.attributes.\w+ is 0.3 there and 0.4"),
        (lambda s: {"net": s.network(dtype="float64").freeze("conv1")}, WeightError, r"another network: .*dtype"),
        (lambda s: {"net": s.network(seed=2).freeze("conv1")}, WeightError, r"other weights: frozen conv1.weight"),
        (lambda s: {"net": s.network()}, ArgumentError, r"another plan: plan conv1.weight.frozen is true"),
        (
            lambda s: {"net": s.network().freeze("conv1").set_lr({"fc1": 2})},
            ArgumentError,
            r"another plan: plan fc1.weight.lr_mult is 1.0 there and 2.0 here",
        ),
        (lambda s: {"found": s.pictures(classes=["dark", "light"])}, DataError, r'classes: classes 1 is "bright"'),
        (lambda s: {"found": s.pictures(28)}, DataError, r"other pictures"),
        (lambda s: {"batch_size": 5}, ArgumentError, r"other settings: settings batch_size is 4 there and 5 here"),
        (lambda s: {"lr": 0.01}, ArgumentError, r"other settings: settings lr is 0.02"),
        (lambda s: {"seed": 1}, ArgumentError, r"other settings: settings seed"),
        (lambda s: {"optimizer": "adam"}, ArgumentError, r'other settings: settings optimizer is "sgd" there'),
        (lambda s: {"schedule": optim.CosineSchedule()}, ArgumentError, r"other settings: settings schedule.schedule"),
    ],

)  # fmt: skip
def test_what_is_not_the_runs_is_refused_by_name(small, begun, make, error, words):
    given = {"net": small.network().freeze("conv1"), "found": small.pictures(), **make(small)}
    before = small.arrays(given["net"])
    with pytest.raises(error, match=words):
        small.trainer(given.pop("net"), given.pop("found"), folder=begun, **given).resume()
    net = given.get("net")
    assert net is None or small.arrays(net) == before


def test_what_changes_no_bit_may_differ(small, begun):
    trainer = small.trainer(small.network().freeze("conv1"), folder=begun, cache=False, workers=0, checkpoint_seconds=9)
    whole = small.trainer(small.network().freeze("conv1"))
    assert small.rows(trainer.resume()) == small.rows(whole.fit(3))
    assert small.arrays(trainer.net) == small.arrays(whole.net)


def test_another_version_of_what_computes_is_warned_of(small, begun):
    text = (begun / "run.json").read_text()
    (begun / "run.json").write_text(text.replace(f'"numpy": "{np.__version__}"', '"numpy": "1.0"'))
    with pytest.warns(UserWarning, match=r"began with numpy 1.0 \(now"):
        small.trainer(small.network().freeze("conv1"), folder=begun).resume()


# Checkpoints that cannot be trusted


def put(file, name, value):
    file.attrs[name] = value


def test_a_byte_changed_anywhere_is_refused(small, begun):
    path = begun / "checkpoint.h5"
    content, whole = path.read_bytes(), small.trainer(folder=begun).run.latest()
    with h5py.File(path) as file:
        data_at = [file[f"now/{name}"].id.get_offset() for name in ("fc1.weight", "batch_norm1.running_mean")]
    rng = np.random.default_rng(0)
    for place in [*data_at, *rng.integers(len(content), size=25)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        trainer = small.trainer(small.network().freeze("conv1"), folder=begun)
        if place in data_at:
            with pytest.raises(WeightError, match=r"checkpoint\.h5"):
                trainer.resume()
            continue
        with contextlib.suppress(WeightError):  # or it is a byte in which nothing is kept
            found = trainer.run.latest()
            assert (found.training, found.base) == (whole.training, whole.base)
            assert all(found.arrays[name].tobytes() == array.tobytes() for name, array in whole.arrays.items())


class Triangle(optim.Schedule):
    def __init__(self, period):
        self.period = period

    def rate(self, base, epoch):
        return base * (1 + epoch % self.period)


class Plain:
    def __init__(self, period):
        self.period = period

    rate = Triangle.rate


@pytest.mark.parametrize("kind", [Triangle, Plain])
def test_a_schedule_of_ones_own_is_known_again(small, tmp_path, kind):
    small.trainer(schedule=kind(3.0), folder=tmp_path / "run").fit(1)
    assert len(small.trainer(schedule=kind(3.0), folder=tmp_path / "run").resume(2)) == 2
    with pytest.raises(ArgumentError, match=r"schedule.*period"):
        small.trainer(schedule=kind(7.0), folder=tmp_path / "run").resume(3)


def test_a_file_cut_short_says_what_to_do(small, begun):
    path = begun / "checkpoint.h5"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WeightError, match=r"checkpoint\.h5: cannot be read.*remove it to start the training anew"):
        small.trainer(small.network().freeze("conv1"), folder=begun).resume()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda h: h["now/fc1.bias"].__setitem__(0, 7.0), r"sha256: is .*edited"),
        (lambda h: h["optimizer/fc1.bias/velocity"].__setitem__(0, 7.0), r"sha256"),
        (lambda h: put(h, "training", np.bytes_(h.attrs["training"].replace(b'"epoch": 2', b'"epoch": 3'))), r"sha256"),
        (lambda h: h.__delitem__("best/fc1.bias"), r"sha256"),
        (lambda h: put(h, "format_version", 2), r"format_version.* is 2, .* reads up to 1; upgrade minitl"),
        (lambda h: put(h, "format_version", 0), r"must be 1 to 1"),
        (lambda h: put(h, "format", np.bytes_("minitl")), r"no checkpoint of minitl"),
        (lambda h: h["now"].__setitem__("link", h5py.SoftLink("/best")), r"is a link"),
    ],
    ids=["array", "state", "position", "missing", "newer", "version", "format", "link"],
)  # fmt: skip
def test_an_edited_checkpoint_is_refused(small, begun, edit, words):
    with h5py.File(begun / "checkpoint.h5", "r+") as file:
        edit(file)
    for attempt in ("resume", "fit"):
        with pytest.raises(WeightError, match=rf"checkpoint\.h5: .*{words}"):
            getattr(small.trainer(small.network().freeze("conv1"), folder=begun), attempt)()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_what_is_no_checkpoint_is_refused(small, begun, content):
    path = begun / "checkpoint.h5"
    path.write_bytes(path.read_bytes()[:-99] if content is None else content)
    with pytest.raises(WeightError, match=r"checkpoint\.h5"):
        small.trainer(small.network().freeze("conv1"), folder=begun).resume()


def test_a_checkpoint_is_small(small, begun):
    """The frozen base is in it by hash alone."""
    with h5py.File(begun / "checkpoint.h5") as file:
        assert not any(name.startswith("conv1") for part in ("now", "best", "optimizer") for name in file[part])
        assert b'"conv1.weight"' in file.attrs["base"]


# Pictures that go


def test_an_order_is_gone_on_with_where_pictures_were_left_out():
    from types import SimpleNamespace as Named

    from minitl.train.loop import after

    items = [Named(name=name) for name in "abcabdc"]
    assert after(items, 0, [items[0], items[2]]) == 3
    assert after(items, 3, [items[4], items[6]]) == 7
    assert after(items, 2, []) == 2


def test_when_most_pictures_vanish_training_stops_and_can_be_resumed(small, tmp_path):
    from PIL import Image

    found = small.pictures(80)
    folder = tmp_path / "pictures"
    folder.mkdir()
    items = []
    for item in (*found.train, *found.val):
        Image.fromarray(item.picture()).save(folder / f"{item.name}.png")
        items.append(data.Item(f"{item.name}.png", item.label, folder / f"{item.name}.png"))
    found = data.Dataset(found.classes, tuple(items[:48]), tuple(items[48:]))
    whole = small.trainer(found=found, cache=False)
    whole.fit(3)

    def vanish(self, epoch, *others):
        if epoch == 2:
            folder.rename(tmp_path / "elsewhere")
        plain(self, epoch, *others)

    trainer = small.trainer(found=found, cache=False, folder=tmp_path / "run")
    plain, Loop._epoch = Loop._epoch, vanish
    try:
        with (
            pytest.warns(UserWarning, match="left out"),
            pytest.raises(DataError, match=r"can no longer be read.*resume"),
        ):
            trainer.fit(3)
    finally:
        Loop._epoch = plain
    (tmp_path / "elsewhere").rename(folder)
    again = Trainer(small.network(), found, lr=0.02, batch_size=4, cache=False, progress=False, folder=tmp_path / "run")
    again.resume()
    assert small.arrays(again.net) == small.arrays(whole.net)
