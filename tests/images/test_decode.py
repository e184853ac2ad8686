"""Whatever a camera wrote becomes (H, W, 3) uint8 RGB."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import images
from minitl.errors import DataError
from minitl.images import Preprocessing, decode

COLOUR = (200, 30, 40)


def encoded(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def plain(mode="RGB", colour=COLOUR, size=(6, 4)):
    return Image.new("RGB", size, colour).convert(mode)


@pytest.mark.parametrize(
    ("mode", "form", "expected"),
    [
        ("RGB", "PNG", COLOUR),
        ("RGB", "BMP", COLOUR),
        ("RGB", "PPM", COLOUR),
        ("RGB", "TIFF", COLOUR),
        ("RGBA", "PNG", COLOUR),
        ("CMYK", "TIFF", COLOUR),
        ("L", "PNG", (82, 82, 82)),  # ITU-R 601: 0.299 R + 0.587 G + 0.114 B
        ("L", "PPM", (82, 82, 82)),
        ("LA", "PNG", (82, 82, 82)),
        ("P", "PNG", (204, 51, 51)),  # a colour of the web palette, which needs no dither
        ("P", "GIF", (204, 51, 51)),
        ("1", "PNG", (0, 0, 0)),
    ],
)
def test_modes(mode, form, expected):
    picture = plain(mode, COLOUR if mode not in "1P" else expected)
    found = decode(encoded(picture, form))
    assert found.dtype == np.uint8
    assert found.shape == (4, 6, 3)
    assert np.array_equal(found, np.full((4, 6, 3), expected))


@pytest.mark.parametrize("size", [(6, 4), (4, 6), (2, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "P", "I;16"])
def test_an_image_preprocesses_to_the_bits_of_the_array(mode, size):
    rng = np.random.default_rng(len(mode))
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    content = encoded(picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode), "TIFF")
    preprocessing = Preprocessing(resize="short_side", size=3, crop=(2, 2))
    image = images.decode_image(content)
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), decode(content))
    assert np.array_equal(preprocessing(image), preprocessing(decode(content)))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_is_read_as_pillow_reads_it(mode):
    content = encoded(plain(mode), "JPEG")
    assert np.array_equal(decode(content), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(form):
    values = np.array([[0, 128, 129, 32896], [257, 514, 65534, 65535]], np.uint16)
    found = decode(encoded(Image.fromarray(values), form))
    assert found[..., 0].tolist() == [[0, 0, 1, 128], [1, 2, 255, 255]]
    assert (found == found[..., :1]).all()


def test_pixels_without_a_known_range():
    for values in (np.full((2, 2), 70000, np.int32), np.full((2, 2), 0.5, np.float32)):
        with pytest.raises(DataError, match="no known range"):
            decode(encoded(Image.fromarray(values), "TIFF"))


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 127))
    grey = Image.new("LA", (2, 2), (0, 0))
    assert (decode(encoded(clear)) == 255).all()
    assert (decode(encoded(grey)) == 255).all()
    assert (decode(encoded(half)) == 128).all()
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([10, 20, 30])
    assert (decode(encoded(palette, transparency=0)) == 255).all()
    assert (decode(encoded(palette)) == (10, 20, 30)).all()
    keyed = Image.new("RGB", (2, 2), COLOUR)
    assert (decode(encoded(keyed, transparency=COLOUR)) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """The tags of the EXIF standard: where the stored first row and first column belong."""
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encoded(Image.fromarray(stored), "PNG", exif=exif))
    assert np.array_equal(found[..., 0], upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_says_nothing_about_the_pixels():
    found = decode(encoded(plain(), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken"))
    assert (found == COLOUR).all()


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (3, 2), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    found = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (found == (255, 0, 0)).all()


def test_names_that_are_not_ascii(tmp_path):
    path = tmp_path / "Müller 蟻 🐜.png"
    path.write_bytes(encoded(plain()))
    assert decode(path).shape == decode(str(path)).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"no picture at all", "not a picture of the formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture of the formats"),
        (encoded(plain(size=(64, 64)), "JPEG")[:-40], "truncated"),
        (encoded(plain(size=(64, 64)))[:-40], "cannot be decoded"),
        (encoded(plain())[:20], "picture"),
    ],
)
def test_what_does_not_decode(tmp_path, content, match):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        decode(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(data=st.data(), form=st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM"]))
def test_truncated_or_altered_anywhere(data, form):
    """A damaged picture is refused or decodes to some picture; no other error gets out."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    content = bytearray(encoded(Image.fromarray(pixels), form))
    keep = data.draw(st.integers(0, len(content)), label="bytes kept")
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3), label="bytes altered"):
        content[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DataError):
        found = decode(bytes(content[:keep]))
        assert found.dtype == np.uint8
        assert found.ndim == 3
        assert found.shape[2] == 3


def test_a_decompression_bomb(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="bomb"):
        decode(encoded(plain(size=(30, 30))))


def test_missing_and_folder(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path, "nul\0.jpg"):
        with pytest.raises(DataError, match="cannot be opened"):
            decode(path)


def test_extensions():
    assert {".jpg", ".jpeg", ".png"} <= images.EXTENSIONS
    assert ".gif" not in images.EXTENSIONS
