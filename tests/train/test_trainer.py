"""Training: the same bits each time, frozen arrays untouched, the best epoch kept, and every trouble told."""

import warnings

import numpy as np
import pytest

from minitl import data, nn
from minitl.errors import ArgumentError, DataError, GraphError
from minitl.images import Preprocessing
from minitl.optim import StepSchedule
from minitl.train import Trainer, evaluate, measured_rate

CLASSES = ["dark", "bright"]


def pictures(count=26, seed=0, noise=40):
    """Dark and bright pictures, some hard to tell."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    x = rng.normal(100 + 60 * labels[:, None, None, None], noise, (count, 8, 8, 3))
    return data.arrays(x.clip(0, 255).astype(np.uint8), labels, CLASSES, val=0.4)


def network(seed=0, **options):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(20, 2),
        input_shape=(3, 8, 8),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
        seed=seed,
        **options,
    )
    return net.freeze("conv1")


def quiet(net, found, **settings):
    return Trainer(net, found, progress=False, **settings)


def arrays(net):
    return {name: p.numpy() for name, p in net.named_parameters().items()}


def same(one, two):
    return all(np.array_equal(one[name], two[name]) for name in one)


def timeless(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def test_the_same_seed_gives_the_same_bits_cached_or_not():
    runs = []
    for options in ({}, {}, {"cache": False}, {"workers": 0}, {"cache": False, "workers": 5}, {"seed": 1}):
        net = network()
        history = quiet(net, pictures(), batch_size=6, **options).fit(4)
        runs.append((arrays(net), timeless(history), history.start, history.best))
    first = runs[0]
    for run in runs[1:5]:
        assert same(first[0], run[0])
        assert first[1:] == run[1:]
    assert first[1] != runs[5][1]


def test_frozen_arrays_keep_every_bit():
    net = network()
    net.freeze("fc1")
    before = arrays(net)
    quiet(net, pictures(), weight_decay=0.1).fit(3)
    after = arrays(net)
    for name, p in net.named_parameters().items():
        assert p.grad is None
        if p.frozen:
            assert np.array_equal(before[name], after[name]), name


def test_it_learns_and_says_how_well():
    net, found = network(), pictures(60)
    trainer = quiet(net, found)
    history = trainer.fit(15)
    assert [row["epoch"] for row in history] == list(range(1, 16))
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    result = trainer.evaluate()
    assert result["accuracy"] > result["majority_baseline"]
    assert net.classes == CLASSES
    assert not history.interrupted


def test_the_network_ends_with_the_best_epoch():
    net = network()
    trainer = quiet(net, pictures(noise=90), lr=0.05, batch_size=4)
    history = trainer.fit(12)
    states = [history.start, *history]
    ranks = [(row["val_accuracy"], -row["val_loss"]) for row in states]
    assert history.best == ranks.index(max(ranks))
    result = trainer.evaluate()
    assert result["accuracy"] == states[history.best]["val_accuracy"]
    assert result["loss"] == states[history.best]["val_loss"]


def test_fit_goes_on_from_where_it_was():
    trainer = quiet(network(), pictures(noise=90))
    first = trainer.fit(3)
    best = [first.start, *first][first.best]
    again = trainer.fit(2)
    assert [row["epoch"] for row in again] == [1, 2, 3, 4, 5]
    kept = [again.start, *again][again.best]
    assert (kept["val_accuracy"], -kept["val_loss"]) >= (best["val_accuracy"], -best["val_loss"])


def test_without_validation_the_last_epoch_is_kept():
    found = pictures()
    everything = data.Dataset(found.classes, found.train + found.val, ())
    trainer = quiet(network(), everything)
    history = trainer.fit(3)
    assert history.best == 3
    assert history.start == {}
    assert "val_loss" not in history[0]
    with pytest.raises(DataError, match="'val' has no pictures"):
        trainer.evaluate()
    assert trainer.evaluate("train")["pictures"] == len(everything.train)


def test_evaluation_keeps_order_path_truth_and_answer_together():
    found, net = pictures(27), network(classes=CLASSES)
    result = evaluate(net, found)
    assert [p["path"] for p in result["predictions"]] == [item.name for item in found.val]
    assert [p["truth"] for p in result["predictions"]] == [CLASSES[item.label] for item in found.val]
    for item, mine in zip(found.val, result["predictions"], strict=True):
        ((other,),) = net.predict(item.picture()[None], topk=1)
        assert (other.name, other.probability) == (mine["prediction"], mine["probability"])
    right = sum(p["truth"] == p["prediction"] for p in result["predictions"])
    assert result["accuracy"] == right / len(found.val)
    matrix = np.array(result["confusion"])
    assert matrix.sum() == result["pictures"] == len(found.val)
    assert np.trace(matrix) == right
    for k, name in enumerate(CLASSES):
        row = result["per_class"][name]
        assert row["support"] == matrix[k].sum()
        assert row["recall"] == matrix[k, k] / matrix[k].sum()
        assert row["precision"] == (matrix[k, k] / matrix[:, k].sum() if matrix[:, k].any() else 0)


@pytest.mark.filterwarnings("ignore:every validation picture")
def test_a_network_that_ends_in_softmax_trains_on_what_enters_it():
    layers = [nn.Flatten(), nn.Linear(192, 2)]
    options = {"input_shape": (3, 8, 8), "preprocessing": Preprocessing()}
    plain, ended = nn.Sequential(*layers, **options), nn.Sequential(*layers, nn.Softmax(), **options)
    one, two = quiet(plain, pictures()), quiet(ended, pictures())
    assert timeless(one.fit(2)) == timeless(two.fit(2))
    assert one.evaluate() == two.evaluate()
    ended.freeze()
    assert evaluate(ended, pictures()) == one.evaluate()


def test_the_measured_rate_follows_the_features():
    """For one dense layer the curvature is known: (1 - momentum) 2 / mean(|x|^2 + 1)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 5)).astype(np.float32)
    expected = 0.1 * 2 / np.mean((x.astype(float) ** 2).sum(1) + 1)
    net = nn.Sequential(nn.Linear(5, 3))
    assert measured_rate(net, x, "input", "fc1", 0.9) == pytest.approx(expected, rel=1e-5)
    net.set_lr({"*": 10.0})
    assert measured_rate(net, x, "input", "fc1", 0.9) == pytest.approx(expected / 10, rel=1e-5)
    assert measured_rate(net, x * 0, "input", "fc1", 0.9) > 0  # the bias remains
    net.freeze("fc1.bias")
    with pytest.raises(ArgumentError, match="give lr="):
        measured_rate(net, x * 0, "input", "fc1", 0.9)


def test_it_says_first_what_it_will_do(capfd):
    net = network()
    Trainer(net, pictures(), seed=0).fit(2)
    out, err = capfd.readouterr()
    assert out == ""  # left to whoever calls
    plan = net.plan()
    for text in (f"{plan.trained:,}", f"{plan.frozen:,}", "2 epochs", "dark", "pool1", "about", "kept in memory"):
        assert text in err
    assert err.index("2 epochs") < err.index("about") < err.index("training:")


def test_schedule_and_settings():
    trainer = quiet(network(), pictures(), lr=0.01, schedule=StepSchedule(2), class_weight=[1.0, 2.0])
    assert [row["lr"] for row in trainer.fit(3)] == [0.01, 0.01, 0.001]
    assert trainer.settings["class_weight"] == [1.0, 2.0]
    assert trainer.settings["lr"] == 0.01


def test_rare_classes_weigh_more():
    rng = np.random.default_rng(0)
    found = data.arrays(rng.integers(0, 256, (20, 8, 8, 3), np.uint8), [0] * 15 + [1] * 5, CLASSES, val=0.2)
    weights = quiet(network(), found, class_weight="auto").class_weight
    assert list(weights) == [16 / (2 * 12), 16 / (2 * 4)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": 0}, "lr must be above 0"),
        ({"lr": -1}, "lr must be"),
        ({"lr": float("nan")}, "lr must be"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"batch_size": 0}, "batch_size"),
        ({"label_smoothing": 2}, "label_smoothing"),
        ({"class_weight": [1.0]}, "2 positive numbers"),
        ({"class_weight": [1.0, 0.0]}, "2 positive numbers"),
        ({"class_weight": "balanced"}, "'auto'"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_outside_their_domain(settings, words):
    with pytest.raises(ArgumentError, match=words):
        quiet(network(), pictures(), **settings)


def test_nothing_to_train():
    with pytest.raises(GraphError, match=r"every layer is frozen.*net\.unfreeze"):
        quiet(network().freeze(), pictures()).fit(1)
    with pytest.raises(GraphError, match=r"multipliers .* are 0.*net\.set_lr"):
        quiet(network().set_lr({"*": 0.0}), pictures()).fit(1)
    found = pictures()
    with pytest.raises(DataError, match="no pictures to train on"):
        quiet(network(), data.Dataset(found.classes, (), found.val)).fit(1)
    with pytest.raises(ArgumentError, match="epochs must be a positive int"):
        quiet(network(), found).fit(0)


def test_networks_and_data_that_do_not_fit_together():
    with pytest.raises(DataError, match=r"answers a, b, but the data has dark, bright; load"):
        quiet(network(classes=["a", "b"]), pictures())
    with pytest.raises(DataError, match="bright, dark, but the data has dark, bright"):
        evaluate(network(classes=CLASSES[::-1]), pictures())
    three = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), input_shape=(3, 8, 8), preprocessing=Preprocessing())
    with pytest.raises(GraphError, match=r"output of shape \(3,\), but the data has 2 classes; give it a head"):
        quiet(three, pictures())
    three.input_shape = None
    with pytest.raises(GraphError, match="but the data has 2 classes"):
        evaluate(three, pictures())
    three.preprocessing = None
    with pytest.raises(DataError, match="no preprocessing"):
        evaluate(three, pictures())
    with pytest.raises(DataError, match="must be a Dataset"):
        quiet(network(), "photos/")


def test_a_rate_too_high_is_named_and_the_best_weights_return():
    net = network()
    before = arrays(net)
    with pytest.raises(ArgumentError, match=r"the loss became (nan|inf) in epoch \d+; lower lr \(it was 1e\+18"):
        quiet(net, pictures(), lr=1e18).fit(5)
    assert all(np.all(np.isfinite(array)) for array in arrays(net).values())
    assert same({name: before[name] for name in before if name.startswith("conv1")}, arrays(net))


def test_weights_that_are_no_numbers_are_named():
    net = network()
    net["conv1.weight"].assign(np.full_like(net["conv1.weight"].numpy(), np.nan))
    with pytest.raises(DataError, match="'pool1' are not all numbers"):
        quiet(net, pictures()).fit(1)


@pytest.mark.filterwarnings("ignore:every validation picture")
def test_training_that_does_not_move_is_warned_of():
    with pytest.warns(UserWarning, match="training loss has stayed at .* raise lr"):
        quiet(nothing_learned(), pictures(), lr=1e-12).fit(6)


def nothing_learned():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2), input_shape=(3, 8, 8), preprocessing=Preprocessing())
    net["fc1.weight"].assign(np.zeros((2, 192)))
    net["fc1.bias"].assign(np.array([1.0, 0.0]))
    return net


def test_one_answer_for_everything_is_warned_of():
    with pytest.warns(UserWarning, match="answered 'dark'; .* right for 50.0%"):
        quiet(nothing_learned(), pictures(), lr=1e-12).fit(1)


def test_an_interrupt_keeps_the_best_so_far(monkeypatch):
    net = network()
    trainer = quiet(net, pictures(), batch_size=4)
    plain = trainer._loss

    def interrupted(items, values, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return plain(items, values, epoch)

    monkeypatch.setattr(trainer, "_loss", interrupted)
    history = trainer.fit(9)
    assert history.interrupted
    assert len(history) == 2
    result = trainer.evaluate()
    assert result["accuracy"] == [history.start, *history][history.best]["val_accuracy"]
    monkeypatch.undo()
    assert not trainer.fit(1).interrupted


def test_an_interrupt_before_the_first_epoch_goes_through(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    trainer = quiet(network(), pictures())
    monkeypatch.setattr(trainer.values, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(2)


def on_disk(root):
    """Sixteen pictures as files, in two splits."""
    from PIL import Image

    for item in pictures(16).train + pictures(16).val:
        folder = root / CLASSES[item.label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(item.picture()).save(folder / f"{item.name}.png")
    return data.folder(root, val=0.4)


@pytest.mark.parametrize("cache", [True, False])
def test_a_picture_that_goes_missing_is_left_out_and_named(tmp_path, cache):
    found = on_disk(tmp_path)
    (tmp_path / found.train[3].name).unlink()
    (tmp_path / found.val[0].name).write_bytes(b"")
    trainer = quiet(network(), found, cache=cache)
    with pytest.warns(UserWarning, match="left out") as caught:
        trainer.fit(2)
    assert len([w for w in caught if "left out" in str(w.message)]) == 2
    result = trainer.evaluate()
    assert result["pictures"] == len(found.val) - 1
    assert [name for name, _ in result["skipped"]] == [found.val[0].name]


def test_a_class_of_which_nothing_is_left_is_refused(tmp_path):
    found = on_disk(tmp_path)
    for item in found.train:
        if item.label == 1:
            (tmp_path / item.name).write_bytes(b"no picture any more")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=f"no training picture of class '{found.classes[1]}' can be read any more"):
            quiet(network(), found).fit(1)


def test_a_cache_that_does_not_fit_changes_nothing_but_the_time():
    one, two = network(), network()
    quiet(one, pictures()).fit(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet(two, pictures(), cache_limit=100).fit(2)
    assert any("raise cache_limit" in str(w.message) for w in caught)
    assert same(arrays(one), arrays(two))


def test_real_photographs_on_frozen_layers(data_root):
    """AlexNet's frozen convolutions tell ants from bees for 137 of 153 pictures, the median of three seeds."""
    from minitl import transfer
    from minitl.weights import convert

    found = data.folder(data_root / "hymenoptera")
    assert (len(found.train), len(found.val)) == (244, 153)
    assert found.skipped == (("train/ants/imageNotFound.gif", "is no photograph by its ending"),)
    base = transfer.from_foreign(convert.read(data_root / "weights" / "alexnet_features_torchvision.h5"))
    right, values = [], None
    for seed in range(3):
        net = transfer.replace_head(base, found.classes, seed=seed).freeze_backbone()
        trainer = quiet(net, found, seed=seed)
        if values is not None:  # the frozen layers are the same: computed once for all three
            trainer.values._kept, trainer.values._made_by = values
        trainer.fit()
        values = trainer.values._kept, trainer.values._made_by
        right.append(round(trainer.evaluate()["accuracy"] * len(found.val)))
    assert sorted(right)[1] >= 137


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule", 3),
        ("workers", "a"),
        ("workers", -5),
        ("cache_limit", "x"),
        ("cache_limit", -1),
        ("class_weight", ["a", "b"]),
        ("class_weight", 3),
        ("batch_size", 1.5),
    ],
)
def test_settings_of_the_wrong_kind_are_refused_when_given(name, value):
    with pytest.raises(ArgumentError, match=name):
        quiet(network(), pictures(), **{name: value})


def test_a_dead_stderr_stops_no_training(monkeypatch):
    class Dead:
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

        flush = isatty = lambda self: self.write("")

    monkeypatch.setattr("sys.stderr", Dead())
    assert len(Trainer(network(), pictures(), batch_size=np.int64(8)).fit(2)) == 2
