"""The scan says of a damaged JPEG what the decoder says, though it decodes ordinary ones no more."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile

pytest.importorskip("hypothesis", reason="damage is drawn by hypothesis (pip install '.[test]')")
from hypothesis import given
from hypothesis import strategies as st

from minitl import images
from minitl.data import jpeg
from minitl.data.scan import unreadable
from minitl.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
KINDS = {
    "plain": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "fine": {"quality": 98},
}


def written(mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "jpeg", **options)
    return file.getvalue()


def decodes(path):
    try:
        images.decode(path)
    except DataError:
        return False
    return True


damage = st.tuples(st.floats(0, 1), st.binary(max_size=600))


@given(
    kind=st.sampled_from(sorted(KINDS)), mode=st.sampled_from(["RGB", "L", "CMYK"]), damage=st.none() | damage,
    kept=st.none() | st.floats(0, 1), tail=st.sampled_from([b"", b"\xff\xd9", b"\0" * 9, b"\xff\xd8\xff\xd9"]),
)  # fmt: skip
def test_the_scan_agrees_with_the_decoder(tmp_path_factory, kind, mode, damage, kept, tail):
    content = bytearray(written(mode, **KINDS[kind]))
    if damage is not None:
        at = int(damage[0] * len(content))
        content[at : at + len(damage[1])] = damage[1]
    if kept is not None:
        del content[int(kept * len(content)) :]
    path = tmp_path_factory.mktemp("jpeg") / "a.jpg"
    path.write_bytes(bytes(content) + tail)
    assert (unreadable(path) is None) == decodes(path)


@pytest.mark.parametrize(("kind", "plain"), [("plain", True), ("progressive", False), ("restarts", True)])
def test_what_is_ordinary_is_not_decoded(kind, plain, tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(written(**KINDS[kind]))
    with Image.open(path) as picture:
        assert jpeg.is_plain(picture) == plain
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    monkeypatch.setattr(images, "decode", None)
    if plain:
        assert unreadable(path) is None


def test_a_large_one_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(written())
    monkeypatch.setattr(jpeg, "MOST_BYTES", path.stat().st_size - 1)
    with Image.open(path) as picture:
        assert not jpeg.is_plain(picture)
    assert unreadable(path) is None
