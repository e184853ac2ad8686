"""Preprocessing is torchvision's arithmetic, bit for bit."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import images
from minitl.errors import ArgumentError, DataError
from minitl.images import Preprocessing

COLOUR = (200, 30, 40)
TORCHVISION = {
    "channels": "RGB",
    "scale": 1 / 255,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "resize": "short_side",
    "size": 256,
    "filter": "bilinear",
    "crop": [224, 224],
}

pictures = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, (*drawn[:2], 3), np.uint8)
)


def test_every_pixel_value_has_torchvisions_bits():
    """ToTensor divides by 255 and Normalize subtracts and divides, all in float32."""
    picture = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    found = Preprocessing.from_dict({**TORCHVISION, "resize": "none", "size": None, "crop": None})(picture)
    for channel in range(3):
        mean, std = np.float32(TORCHVISION["mean"][channel]), np.float32(TORCHVISION["std"][channel])
        expected = (np.arange(256, dtype=np.float32) / np.float32(255) - mean) / std
        assert found[channel, 0].tobytes() == expected.tobytes()


def test_bgr_and_grey():
    picture = np.full((2, 2, 3), COLOUR, np.uint8)
    bgr = Preprocessing("BGR", 1.0, (104, 117, 123), (1, 1, 1))(picture)
    assert bgr[:, 0, 0].tolist() == [40 - 104, 30 - 117, 200 - 123]
    grey = Preprocessing("L", 1.0, (0,), (2,))(picture)
    assert grey.shape == (1, 2, 2)
    assert (grey == 41).all()


@given(picture=pictures, size=st.integers(1, 50))
def test_short_side(picture, size):
    height, width = picture.shape[:2]
    found = Preprocessing(resize="short_side", size=size)(picture).shape
    if width <= height:
        assert found == (3, int(size * height / width), size)
    else:
        assert found == (3, size, int(size * width / height))


@given(
    picture=pictures, size=st.tuples(st.integers(1, 50), st.integers(1, 50)), name=st.sampled_from([*images.FILTERS])
)
def test_exact_is_pillows_resize(picture, size, name):
    found = Preprocessing(scale=1.0, resize="exact", size=size, filter=name)(picture)
    expected = np.asarray(Image.fromarray(picture).resize(size[::-1], images.FILTERS[name]))
    assert found.flags.c_contiguous
    assert np.array_equal(found, expected.transpose(2, 0, 1))


@given(picture=pictures, crop=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_centre_crop(picture, crop):
    """By the definition, axis by axis: black borders (the odd pixel after), then the middle, halves to even."""
    found = Preprocessing(scale=1.0, crop=crop)(picture)
    expected = picture
    for axis in (0, 1):
        extra = max(crop[axis] - expected.shape[axis], 0)
        around = [(0, 0)] * 3
        around[axis] = (extra // 2, (extra + 1) // 2)
        expected = np.pad(expected, around)
        start = round((expected.shape[axis] - crop[axis]) / 2)
        expected = expected.take(range(start, start + crop[axis]), axis)
    assert np.array_equal(found, expected.transpose(2, 0, 1))


def test_the_input_stays_as_it_was():
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    before = picture.copy()
    Preprocessing.from_dict(TORCHVISION)(picture[::-1, ::2])
    assert np.array_equal(picture, before)


def test_dict_round_trip():
    assert Preprocessing.from_dict(TORCHVISION).to_dict() == TORCHVISION
    for channels, rule in itertools.product(images.CHANNELS, images.RESIZE_RULES):
        count = images.CHANNELS[channels]
        size = {"short_side": 7, "exact": (5, 6), "none": None}[rule]
        made = Preprocessing(channels, 1.0, (0.5,) * count, (2.0,) * count, rule, size, crop=3)
        assert Preprocessing.from_dict(made.to_dict()) == made
        assert made.output_size == (3, 3)
    assert Preprocessing(resize="exact", size=28).output_size == (28, 28)
    assert Preprocessing(resize="short_side", size=28).output_size is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"channels": "GBR"}, "channels must be one of RGB, BGR, L"),
        ({"channels": ["RGB"]}, "channels must be"),
        ({"channels": "L"}, "mean must be 1 number"),
        ({"scale": 0}, "scale must be"),
        ({"scale": float("nan")}, "scale must be"),
        ({"scale": 10**400}, "scale must be"),
        ({"scale": "1/255"}, "scale must be"),
        ({"scale": True}, "scale must be"),
        ({"mean": [0.5, 0.5]}, "mean must be 3 number"),
        ({"mean": [0.5, 0.5, float("inf")]}, "mean must be 3 number"),
        ({"mean": None}, "mean must be 3 number"),
        ({"std": [1, 0, 1]}, "std must be positive"),
        ({"resize": "fit"}, "resize must be one of"),
        ({"resize": "none"}, "size 256 needs resize="),
        ({"size": None}, "size must be one positive int"),
        ({"size": [256, 256]}, "size must be one positive int"),
        ({"resize": "exact", "size": [256]}, "size must be a positive int or"),
        ({"resize": "exact", "size": -1}, "size must be a positive int or"),
        ({"crop": 0}, "crop must be"),
        ({"crop": [224, 1e3]}, "crop must be"),
        ({"crop": [10**9, 10**9]}, "crop must be"),
        ({"crop": [65535, 65535]}, "crop .* has more than .* pixels"),
        ({"resize": "exact", "size": [65535, 65535]}, "size .* has more than .* pixels"),
        ({"filter": "best"}, "filter must be one of nearest"),
        ({"gamma": 2}, r"unknown keys \['gamma'\]"),
    ],
)
def test_nonsense_is_refused(change, match):
    with pytest.raises(ArgumentError, match=match):
        Preprocessing.from_dict({**TORCHVISION, **change})


def test_missing_keys_are_refused():
    with pytest.raises(ArgumentError, match=r"lacks \['mean', 'std'\]"):
        Preprocessing.from_dict({"channels": "RGB", "scale": 1.0, "resize": "none"})
    with pytest.raises(ArgumentError, match="must be a mapping"):
        Preprocessing.from_dict("RGB")


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), "u1"),
    ],
)
def test_arrays_that_are_no_pictures(picture):
    with pytest.raises(DataError, match=r"must be \(H, W, 3\) uint8 RGB"):
        Preprocessing()(picture)


def test_a_picture_too_long_to_resize():
    with pytest.raises(DataError, match="would become"):
        Preprocessing(resize="short_side", size=256)(np.zeros((1, 10000, 3), np.uint8))


@pytest.mark.parametrize("change", [{"std": (1e-40, 1.0, 1.0)}, {"scale": 1e29, "std": (1.0, 1.0, 1e-3)}])
def test_values_beyond_float32_are_refused(change):
    with pytest.raises(ArgumentError, match="beyond float32's range"):
        Preprocessing(**change)
