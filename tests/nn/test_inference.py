"""Pictures through a network: one row each, the same bits in any company, clear refusals."""

import numpy as np
import pytest
from PIL import Image

from minitl import nn
from minitl.errors import ArgumentError, DataError, GraphError, ShapeError, WeightError
from minitl.images import Preprocessing


def test_features_give_one_row_a_picture(net, pictures):
    assert net.features(pictures).shape == (11, 40)  # what enters fc
    assert net.features(pictures).dtype == np.float32
    assert net.features(pictures, layer="pool1").shape == (11, 8 * 6 * 6)
    assert net.features(pictures, layer="fc").shape == (11, 3)


def test_features_of_a_network_without_classifier_are_its_output(pictures):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), input_shape=(3, 20, 15), preprocessing=Preprocessing()
    )
    assert net.features(pictures).shape == (11, 16)
    with pytest.raises(GraphError, match=r"ends at .*before any classifier.*classes=\[...\]"):
        net.predict(pictures)


def test_a_pictures_result_does_not_depend_on_its_company(net, pictures):
    together = net.features(pictures, layer="fc")
    for chosen in ([3], [10, 0], [5, 4, 3, 2, 1, 0, 10, 9, 8]):
        assert np.array_equal(net.features(pictures[chosen], layer="fc"), together[chosen])
    alone = net.predict(pictures[6:7], topk=3)
    assert alone == net.predict(pictures, topk=3)[6:7]


def test_predict_orders_by_probability(net, pictures):
    for answer in net.predict(pictures, topk=3):
        assert [p.name for p in answer] == [net.classes[p.index] for p in answer]
        probabilities = [p.probability for p in answer]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1)
    assert [len(a) for a in net.predict(pictures[:2], topk=1)] == [1, 1]
    assert [len(a) for a in net.predict(pictures[:1], topk=99)] == [3]
    assert net.predict(pictures[:0]) == []


def test_a_network_that_ends_in_softmax_is_not_squashed_twice(pictures):
    net = nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 3, initializer="glorot_normal"),
        nn.Softmax(),
        input_shape=(3, 20, 15),
        preprocessing=Preprocessing(),
    )
    (answer,) = net.predict(pictures[:1])
    assert answer[0].name == ""
    assert answer[0].probability == pytest.approx(float(net.features(pictures[:1], layer="softmax1").max()))


def test_dropout_is_off(net, pictures):
    assert np.array_equal(net.features(pictures, layer="drop"), net.features(pictures, layer="flatten"))


def test_paths_and_arrays_give_the_same(net, pictures, tmp_path):
    for i, picture in enumerate(pictures[:3]):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    paths = sorted(tmp_path.iterdir())
    assert np.array_equal(net.features(paths), net.features(pictures[:3]))
    assert np.array_equal(net.features(str(paths[0])), net.features(pictures[:1]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((2, 3, 12, 12), np.float32), "call net"),
        (np.zeros((12, 12, 3), np.uint8), r"\(N, H, W, 3\)"),
        ([np.zeros((12, 12, 3), np.uint8)], "paths or one array"),
        ([3], "got an item int"),
        ("nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_what_is_no_picture_is_refused(net, given, words):
    with pytest.raises(DataError, match=words):
        net.features(given)


def test_grey_arrays_are_pictures(net):
    grey = np.arange(2 * 12 * 12, dtype=np.uint8).reshape(2, 12, 12)
    colour = np.repeat(grey[..., None], 3, axis=3)
    assert np.array_equal(net.features(grey), net.features(colour))


def test_no_pictures_no_features(net):
    with pytest.raises(DataError, match="no pictures"):
        net.features([])


@pytest.mark.parametrize("topk", [0, -1, 1.5, "5"])
def test_topk_is_a_positive_number(net, pictures, topk):
    with pytest.raises(ArgumentError, match="topk"):
        net.predict(pictures, topk=topk)


def test_without_preprocessing_pictures_are_refused(net, pictures):
    net.preprocessing = None
    with pytest.raises(DataError, match="has no preprocessing"):
        net.predict(pictures)


def test_sizes_that_cannot_share_a_batch_are_named(net, tmp_path):
    net.preprocessing = Preprocessing()
    for i, size in enumerate([(20, 15), (16, 15)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    with pytest.raises(ShapeError, match=r"\(3, 15, 20\) and \(3, 15, 16\)"):
        net.features(sorted(tmp_path.iterdir()))


def test_an_unknown_layer_says_what_there_is(net, pictures):
    with pytest.raises(GraphError, match="no layer 'pool9'; there are conv1, relu1"):
        net.features(pictures, layer="pool9")


@pytest.mark.parametrize(
    "settings", [{"batch_size": n} for n in (0, -1, 1.5, None, True)] + [{"topk": 1.5}, {"topk": "3"}]
)
def test_counts_outside_their_domain(net, pictures, settings):
    with pytest.raises(ArgumentError, match=next(iter(settings))):
        net.predict(pictures, **settings)
    if "batch_size" in settings:
        with pytest.raises(ArgumentError, match="batch_size"):
            net.features(pictures, **settings)


def test_numpy_numbers_serve_as_counts(net, pictures):
    assert net.predict(pictures, topk=np.int64(2), batch_size=np.int32(8)) == net.predict(pictures, topk=2)


@pytest.mark.parametrize("given", [None, 3, 1.5])
def test_what_is_no_list_of_pictures(net, given):
    with pytest.raises(DataError, match="must be paths or one array"):
        net.predict(given)


def test_scores_that_are_no_numbers_are_no_answer(net):
    last = net.parameters()[-1]
    last.assign(np.full(last.shape, np.nan))
    with pytest.raises(WeightError, match="scores are not numbers"):
        net.predict(np.zeros((1, 12, 12, 3), np.uint8))
