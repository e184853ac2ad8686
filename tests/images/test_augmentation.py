"""Augmentation changes what it was asked to change, by the published rules, and nothing else."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import images
from minitl.errors import ArgumentError, DataError
from minitl.images import Augmentation, changes
from minitl.images.changes import hue, rotated

EVERYTHING = {
    "rotate": 30,
    "crop": (0.3, 1.0),
    "flip": 0.5,
    "vertical_flip": 0.5,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.4,
    "hue": 0.1,
    "erase": 0.5,
}


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


pictures = st.builds(noise, st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1))
seeds = st.integers(0, 2**32 - 1)
ranges = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted)
augmentations = st.builds(
    lambda crop, pad, **others: Augmentation(**others, **({"crop": crop} if crop else {"pad": pad})),
    crop=st.none() | ranges,
    pad=st.floats(0, 0.9) | st.integers(0, 30),
    rotate=st.floats(0, 180),
    fill=st.sampled_from(images.FILLS),
    flip=st.floats(0, 1),
    vertical_flip=st.floats(0, 1),
    brightness=st.floats(0, 1),
    contrast=st.floats(0, 1),
    saturation=st.floats(0, 1),
    hue=st.floats(0, 0.5),
    erase=st.floats(0, 1),
    erase_scale=ranges,
)


def changed(picture, seed=0, **settings):
    return Augmentation(**settings)(picture, np.random.default_rng(seed))


@given(augmentation=augmentations, picture=pictures, seed=seeds)
def test_a_picture_of_the_same_kind_and_the_same_bits_again(augmentation, picture, seed):
    before = picture.copy()
    found = augmentation(picture, np.random.default_rng(seed))
    assert found.dtype == np.uint8
    assert found.shape == picture.shape
    assert not np.shares_memory(found, picture)
    assert np.array_equal(picture, before)
    again = Augmentation.from_dict(json.loads(json.dumps(augmentation.to_dict())))
    assert again == augmentation
    assert np.array_equal(again(picture[:, ::-1][:, ::-1], np.random.default_rng(seed)), found)


@given(picture=pictures, seed=seeds)
def test_nothing_asked_for_nothing_changed(picture, seed):
    assert np.array_equal(changed(picture, seed), picture)
    nothing = {"crop": (1.0, 1.0), "ratio": (1.0, 1.0), "fill": "black", "erase_scale": (0.5, 0.5)}
    assert np.array_equal(changed(picture, seed, **nothing), picture)


@given(picture=pictures, seed=seeds)
def test_flips(picture, seed):
    assert np.array_equal(changed(picture, seed, flip=1), picture[:, ::-1])
    assert np.array_equal(changed(picture, seed, vertical_flip=1), picture[::-1])
    for name in ("flip", "vertical_flip"):
        assert np.array_equal(changed(changed(picture, seed, **{name: 1}), seed, **{name: 1}), picture)


def test_as_often_as_asked():
    picture = noise(2, 3)
    rng = np.random.default_rng(0)
    flipped = sum(not np.array_equal(Augmentation(flip=0.3)(picture, rng), picture) for _ in range(2000))
    # a binomial count lies within 5 standard deviations but for one time in a million
    assert abs(flipped - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5


@given(level=st.integers(0, 255), shape=st.tuples(st.integers(1, 20), st.integers(1, 20)), seed=seeds)
@pytest.mark.parametrize("fill", ["replicate", "mean"])
def test_one_colour_stays_so_wherever_it_is_moved(level, shape, seed, fill):
    picture = np.full((*shape, 3), level, np.uint8)
    settings = {"rotate": 180, "pad": 0.4, "fill": fill, "flip": 0.5, "vertical_flip": 0.5}
    assert (changed(picture, seed, **settings) == level).all()
    assert (changed(picture, seed, rotate=90, crop=(0.1, 1), fill=fill) == level).all()


@given(value=st.integers(0, 255), shape=st.tuples(st.integers(1, 20), st.integers(1, 20)), seed=seeds)
def test_grey_stays_grey(value, shape, seed):
    grey = np.repeat(np.random.default_rng(value).integers(0, 256, (*shape, 1), np.uint8), 3, axis=2)
    found = changed(grey, seed, **{**EVERYTHING, "erase": 0})
    assert np.ptp(found, axis=2).max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (2, 3)])
@pytest.mark.parametrize("fill", images.FILLS)
def test_shapes_that_no_camera_takes(shape, fill):
    picture = noise(*shape)
    for seed in range(20):
        assert changed(picture, seed, **EVERYTHING, fill=fill).shape == picture.shape
        assert changed(picture, seed, pad=4, fill=fill).shape == picture.shape


# The rectangle


def torchvision_crop(rng, height, width, scale, ratio):
    """RandomResizedCrop.get_params as torchvision has it, but never empty: (top, left, height, width)."""
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(*map(math.log, ratio)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            return top, left, h, w
    own = width / height
    if own < min(ratio):
        w, h = width, max(round(width / min(ratio)), 1)
    elif own > max(ratio):
        w, h = max(round(height * max(ratio)), 1), height
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w


@given(
    side=st.integers(1, 40),
    scale=ranges,
    ratio=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted),
    seed=seeds,
)
def test_the_crop_of_a_square_is_torchvisions(side, scale, ratio, seed):
    picture = noise(side, side, seed)
    top, left, h, w = torchvision_crop(np.random.default_rng(seed), side, side, scale, ratio)
    part = Image.fromarray(picture[top : top + h, left : left + w])
    expected = part.resize((side, side), Image.Resampling.BILINEAR)
    assert np.array_equal(changed(picture, seed, crop=scale, ratio=ratio), np.asarray(expected))


@given(shape=st.tuples(st.integers(20, 60), st.integers(20, 60)), scale=ranges, seed=seeds)
def test_what_is_erased(shape, scale, seed):
    """One rectangle of random pixels, as large as was asked for up to the rounding of its sides."""
    picture = np.zeros((*shape, 3), np.uint8)
    found = changed(picture, seed, erase=1, erase_scale=scale).any(axis=2)
    if not found.any():  # none fitted in ten attempts: the rectangle drawn was as wide or as high as the picture
        assert scale[1] * 3.3 > (1 - 1 / 20) ** 2
        return
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height < shape[0]
    assert width < shape[1]
    # a random pixel is black once in 256**3, so the outermost rows and columns of the rectangle are all seen
    slack = (height + 1) * (width + 1) - height * width
    assert scale[0] * found.size - slack <= height * width <= scale[1] * found.size + slack
    assert found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.9


# Moving and turning


@given(picture=pictures, pad=st.integers(1, 9), fill=st.sampled_from(images.FILLS), seed=seeds)
def test_pad_then_crop(picture, pad, fill, seed):
    """By the definition: a border all round, and every place for the crop as likely as any other."""
    height, width = picture.shape[:2]
    across, down = (np.random.default_rng(seed).integers(-pad, pad + 1, 2) + pad).tolist()
    around = ((pad, pad), (pad, pad), (0, 0))
    if fill == "replicate":
        bordered = np.pad(picture, around, "edge")
    else:
        bordered = np.pad(picture, around)
        if fill == "mean":
            outside = np.pad(np.zeros((height, width), bool), pad, constant_values=True)
            bordered[outside] = [round(v) for v in picture.mean((0, 1))]
    expected = bordered[down : down + height, across : across + width]
    assert np.array_equal(changed(picture, seed, pad=pad, fill=fill), expected)


def test_a_share_of_the_side_as_padding():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[10, 20] = 255
    seen = np.array([np.argwhere(changed(picture, seed, pad=0.1)[..., 0])[0] - (10, 20) for seed in range(300)])
    assert [sorted(set(axis.tolist())) for axis in seen.T] == [list(range(-2, 3)), list(range(-4, 5))]


@given(picture=pictures, degrees=st.floats(-180, 180))
def test_turning_is_pillows_where_the_picture_reaches(picture, degrees):
    image = Image.fromarray(picture)
    expected = np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR))
    inside = np.asarray(Image.new("L", image.size, 255).rotate(degrees, Image.Resampling.BILINEAR)) == 255
    for fill in images.FILLS:
        found = np.asarray(rotated(image, degrees, fill)).astype(int)
        # Pillow rounds the matrix to 15 digits: a pixel between two values may fall to either
        assert np.abs(found - expected)[inside].max(initial=0) <= 1
    found = np.asarray(rotated(image, degrees, "replicate"))
    assert found.min() >= picture.min()


@given(picture=pictures)
def test_half_and_quarter_turns(picture):
    side = min(picture.shape[:2])
    square = picture[:side, :side]
    for turned, degrees, expected in ((picture, 180, picture[::-1, ::-1]), (square, 90, np.rot90(square))):
        found = np.asarray(rotated(Image.fromarray(turned), degrees, "replicate")).astype(int)
        assert np.isin(expected - found, (0, 1)).all()  # Pillow cuts the last place off what it interpolates


# Colours


def grey_of(picture):
    """ITU-R 601 in Pillow's fixed point."""
    r, g, b = np.moveaxis(picture.astype(np.int64), 2, 0)
    return (19595 * r + 38470 * g + 7471 * b + 0x8000 >> 16)[:, :, None]


@given(picture=pictures, factor=st.floats(0, 2))
def test_brightness_contrast_and_saturation_are_torchvisions(picture, factor):
    """clip(factor * picture + (1 - factor) * other), the other being black, the mean of the grey, or the grey."""
    grey = grey_of(picture)
    others = {"brightness": 0, "contrast": int(grey.mean() + 0.5), "saturation": grey}
    for name, other in others.items():
        found = np.asarray(getattr(changes, name)(Image.fromarray(picture), factor)).astype(float)
        expected = np.clip(factor * picture.astype(float) + (1 - factor) * other, 0, 255)
        assert np.abs(found - expected).max() <= 1  # cut off, not rounded


@pytest.mark.parametrize(
    ("turn", "expected"), [(1 / 3, (0, 255, 0)), (-1 / 3, (0, 0, 255)), (0.5, (0, 255, 255)), (0.0, (255, 0, 0))]
)
def test_hue_turns_the_colour_circle(turn, expected):
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    # a step of the circle, 1 in 255, changes a channel by 6
    assert np.abs(np.asarray(hue(red, turn)).astype(int) - expected).max() <= 6


def test_colours_stay_within_what_was_asked():
    picture = np.full((3, 3, 3), 100, np.uint8)
    levels = {int(changed(picture, seed, brightness=0.2)[0, 0, 0]) for seed in range(500)}
    assert min(levels) == 80
    assert max(levels) in (119, 120)
    assert len(levels) > 35


def test_the_order_of_colours_is_drawn_too():
    picture = noise(4, 4)
    rng = np.random.default_rng(0)
    found = {Augmentation(brightness=1, contrast=1)(picture, rng).tobytes() for _ in range(50)}
    assert len(found) == 50


# Settings


def test_presets():
    assert set(images.PRESETS) == {"photos", "small", "digits"}
    for name, preset in images.PRESETS.items():
        assert Augmentation.preset(name) == preset == Augmentation.from_dict(preset.to_dict())
        assert preset.vertical_flip == 0
    assert images.PRESETS["photos"].crop == (0.5, 1.0)
    assert images.PRESETS["small"].pad == 4
    assert images.PRESETS["digits"].flip == 0
    with pytest.raises(ArgumentError, match="preset must be one of photos, small, digits; got 'best'"):
        Augmentation.preset("best")


def test_described():
    assert Augmentation().describe() == "nothing"
    assert Augmentation(fill="black", erase_scale=(0.1, 0.2)).describe() == "nothing"
    assert Augmentation.preset("small").describe() == "pad 4, fill black, flip 0.5"
    assert Augmentation(crop=(0.5, 1)).describe() == "crop 0.5 to 1"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rotate": -1}, "rotate must be a number from 0 to 180; got -1"),
        ({"flip": 1.5}, "flip must be a number from 0 to 1"),
        ({"flip": True}, "flip must be"),
        ({"flip": "0.5"}, "flip must be"),
        ({"hue": 0.6}, "hue must be a number from 0 to 0.5"),
        ({"brightness": float("nan")}, "brightness must be"),
        ({"contrast": None}, "contrast must be"),
        ({"fill": "reflect"}, "fill must be one of replicate, mean, black"),
        ({"crop": 0.5}, r"crop must be \(least, most\)"),
        ({"crop": (0, 1)}, "crop must be"),
        ({"crop": (0.9, 0.5)}, "crop must be"),
        ({"crop": [0.5, 1.1]}, "crop must be"),
        ({"ratio": (0, 1)}, "ratio must be"),
        ({"ratio": None}, "ratio must be"),
        ({"erase_scale": (0.1, 0.2, 0.3)}, "erase_scale must be"),
        ({"erase_ratio": "ab"}, "erase_ratio must be"),
        ({"pad": -1}, "pad must be a whole number of pixels"),
        ({"pad": 2.5}, "pad must be a whole number of pixels"),
        ({"pad": 10**9}, "pad must be"),
        ({"crop": (0.5, 1), "pad": 4}, "both choose what is seen"),
        ({"colour": 1}, r"unknown keys \['colour'\]"),
    ],
)
def test_nonsense_is_refused(change, match):
    with pytest.raises(ArgumentError, match=match) as caught:
        Augmentation.from_dict(change)
    assert str(caught.value).startswith("augmentation: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_mapping_or_no_picture():
    with pytest.raises(ArgumentError, match="must be a mapping"):
        Augmentation.from_dict([("flip", 0.5)])
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(DataError, match=r"augmentation: a picture must be \(H, W, 3\) uint8 RGB"):
            changed(wrong)


@pytest.mark.parametrize("name", ["ratio", "erase_ratio"])
def test_an_aspect_beyond_reason_is_refused(name):
    for value in ((1e-308, 1.0), (0.009, 1.0), (1.0, 101.0)):
        with pytest.raises(ArgumentError, match=f"{name} must be .least, most., from 0.01 to 100"):
            Augmentation(**{name: value})
    change = Augmentation(crop=(1e-308, 1.0), erase=1.0, **{name: (0.01, 100.0)})
    for shape in ((1, 1), (1, 4000), (4000, 1)):
        assert change(noise(*shape), np.random.default_rng(0)).shape == (*shape, 3)
