"""Files that are damaged, foreign or crafted: each is refused by a WeightError, in one line that names it."""

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import WeightError
from minitl.weights import hdf5, schema
from minitl.weights.schema import WeightFile

NETWORK = {
    "name": "tiny",
    "input_shape": [3, 8, 8],
    "nodes": [{"name": "conv1", "op": "conv2d", "inputs": ["input"], "attributes": {}}],
}


def good(path):
    weights = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    layers = {"conv1": {"weight": weights, "bias": np.ones(8, np.float32)}}
    schema.write(path, WeightFile(NETWORK, layers, ["a", "b"], {"scale": 1.0}, "made here", "none"))
    return path


@pytest.fixture
def path(tmp_path):
    return good(tmp_path / "w.h5")


def refused(path, match=None, **options):
    with pytest.raises(WeightError, match=match) as caught:
        schema.read(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)  # the remedy follows it


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"\n <!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<html>not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
        (b"PK\x03\x04 archive", "zip or pickle"),
        (b"\x80\x04\x95 pickle", "zip or pickle"),
        (b"just some text", "not an HDF5 file"),
        (hdf5.SIGNATURE, "cannot be read as HDF5"),
        (hdf5.SIGNATURE + bytes(5000), "cannot be read as HDF5"),
    ],
)
def test_what_is_no_hdf5(tmp_path, content, match):
    (tmp_path / "w.h5").write_bytes(content)
    refused(tmp_path / "w.h5", match)


def test_missing_and_folder(tmp_path):
    refused(tmp_path / "nothing.h5", "No such file")
    refused(tmp_path, "cannot be opened")


WHOLE: dict[str, bytes] = {}


@given(data=st.data())
def test_truncated_anywhere(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("w")
    if not WHOLE:
        WHOLE["bytes"] = good(folder / "good.h5").read_bytes()
    keep = data.draw(st.integers(0, len(WHOLE["bytes"]) - 1), label="bytes kept")
    (folder / "w.h5").write_bytes(WHOLE["bytes"][:keep])
    refused(folder / "w.h5")


@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_altered_anywhere(tmp_path_factory, places):
    """With hashes verified, a file with altered bytes is refused or still reads as what was written."""
    path = good(tmp_path_factory.mktemp("w") / "w.h5")
    whole = schema.read(path)
    content = bytearray(path.read_bytes())
    for place, change in places:
        content[place % len(content)] ^= change
    path.write_bytes(content)
    try:
        found = schema.read(path, verify=True)
    except WeightError:
        return
    assert (found.network, found.classes, found.preprocessing) == (whole.network, whole.classes, whole.preprocessing)
    assert (found.origin, found.license) == (whole.origin, whole.license)
    for role, array in whole.layers["conv1"].items():
        assert np.array_equal(found.layers["conv1"][role], array)


def test_every_hash_is_checked(path):
    schema.verify(path)
    changes = {
        "weight": (
            "/layers/conv1/weight",
            lambda h: h["layers/conv1/weight"].write_direct(np.ones((8, 3, 3, 3), "f4")),
        ),
        "bias": ("/layers/conv1/bias", lambda h: h["layers/conv1/bias"].__setitem__(0, 5.0)),
        "classes": ("/classes", lambda h: h["classes"].__setitem__(1, "c")),
        "licence": ("attributes of /", lambda h: h.attrs.__setitem__("license", np.bytes_(b"free"))),
        "network": (
            "attributes of /",
            lambda h: h.attrs.__setitem__("network", np.bytes_(h.attrs["network"].replace(b"8", b"9"))),
        ),
    }
    for item, change in changes.values():
        good(path)
        with h5py.File(path, "r+") as h:
            change(h)
        schema.read(path)
        refused(path, f"{item}: its sha256 is", verify=True)
    good(path)
    with h5py.File(path, "r+") as h:
        del h["layers/conv1/bias"].attrs["sha256"]
    schema.read(path)
    refused(path, "carries no sha256", verify=True)


def attribute(name, value):
    """Strings go in with a fixed length, as the format wants them."""
    fixed = isinstance(value, str)
    return lambda h: h.attrs.__setitem__(name, np.bytes_(value.encode()) if fixed else value)


def variable(name, value):
    return lambda h: h.attrs.__setitem__(name, value)


def without(name):
    return lambda h: h.attrs.__delitem__(name)


def dataset(name, *args, **options):
    def change(h):
        if name in h:
            del h[name]
        h.create_dataset(name, *args, **options)

    return change


def link(name, to):
    return lambda h: h.__setitem__(name, to)


def external(h):
    h.create_dataset("layers/conv1/extra", (2,), "f4", external=[("other.bin", 0, 8)])


def virtual(h):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (2,))
    h.create_virtual_dataset("layers/conv1/extra", layout)


def unallocated(shape):
    """A contiguous dataset that claims `shape` and stores nothing."""
    return dataset("layers/conv1/extra", shape, "f4")


def one_chunk_of_many(h):
    made = h.create_dataset("layers/conv1/extra", (64, 64), "f4", chunks=(1, 64), compression="gzip")
    made[3] = np.random.default_rng(0).normal(size=64)


def backwards(h):
    """Compressed first and shuffled afterwards, which nobody writes and which packs nothing."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((9,))
    plist.set_deflate(4)
    plist.set_shuffle()
    space = h5py.h5s.create_simple((9,))
    h5py.h5d.create(h["layers/conv1"].id, b"extra", h5py.h5t.IEEE_F32LE, space, plist)
    h["layers/conv1/extra"][...] = np.arange(9)


def raw_chunk(content, size=1 << 18):
    """A chunk of `size` floats whose stored bytes are `content`, whatever they unpack to."""

    def change(h):
        made = h.create_dataset("layers/conv1/extra", (size,), "f4", chunks=(size,), compression="gzip")
        made.id.write_direct_chunk((0,), content)

    return change


def bomb():
    return zlib.compress(bytes(50 << 20), 9)  # 50 MiB of zeros where 1 MiB is announced


def short():
    return zlib.compress(np.random.default_rng(0).bytes(1 << 19))


def loop(h):
    h["layers/loop"] = h["/"]


def compound(h):
    h.create_dataset("layers/conv1/extra", data=np.zeros(2, [("re", "f4"), ("im", "f4")]))


def custom_float(h):
    """A float type of 32 bits with its exponent elsewhere."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(64)
    h5py.h5d.create(h["layers/conv1"].id, b"extra", kind, h5py.h5s.create_simple((2,)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without("format"), "has no attribute 'format'.*minitl convert"),
        (attribute("format", "keras"), "has format 'keras'"),
        (attribute("format", 3), "'format' of /: is not a single string"),
        (attribute("format", ["minitl"]), "is not a single string"),
        (variable("format", "minitl"), "variable length; write the file anew"),
        (variable("network", "{}"), "variable length"),
        (attribute("format_version", 2), "is 2, and this minitl reads up to 1; upgrade minitl"),
        (attribute("format_version", 0), "'format_version'"),
        (attribute("format_version", "1"), "is not a single integer"),
        (without("format_version"), "'format_version'"),
        (without("network"), "'network': is missing"),
        (attribute("network", "{"), "not valid JSON"),
        (attribute("network", "[]"), "must be a JSON object"),
        (attribute("network", "[" * 100_000), "not valid JSON"),
        (attribute("network", '{"name": NaN}'), "not a finite number"),
        (attribute("network", '{"name": 1e999}'), "not a finite number"),
        (attribute("network", '{"name": ' + "9" * 10_000 + "}"), "not valid JSON"),
        (attribute("network", '{"name": "x", "input_shape": [3, 8, 8], "nodes": [{}]}'), "name of each node"),
        (attribute("network", np.bytes_(b"\xff\xfe")), "not UTF-8"),
        (attribute("network", h5py.Empty("S1")), "not a single string"),
        (attribute("preprocessing", "-Infinity"), "'preprocessing'"),
        (attribute("license", np.bytes_(b"\xe9")), "'license' of /: is not UTF-8"),
        (lambda h: h.__delitem__("layers"), "/layers: is missing"),
        (dataset("layers", data=[1.0]), "must be a group"),
        (dataset("layers/x", data=[1.0]), "/layers/x: must be a group"),
        (lambda h: h.create_group("layers/conv1/x"), "must be a dataset"),
        (lambda h: h.create_group("layers/a b"), "the name 'a b'"),
        (link("layers/x", h5py.SoftLink("/layers/conv1")), "/layers/x: is a link"),
        (link("layers/x", h5py.SoftLink("/nowhere")), "/layers/x: is a link"),
        (link("layers/x", h5py.ExternalLink("other.h5", "/")), "/layers/x: is a link"),
        (link("layers/conv1/x", h5py.ExternalLink("/etc/passwd", "/")), "/layers/conv1/x: is a link"),
        (link("other", h5py.SoftLink("/layers")), "/other: is a link"),
        (link("layers/x", np.dtype("f4")), "neither a group nor a dataset"),
        (loop, "/layers/loop"),
        (external, "takes its data from another file"),
        (virtual, "takes its data from another file"),
        (unallocated((5, 7)), "claims 140 bytes"),
        (unallocated((1 << 40,)), "claims"),
        (dataset("layers/conv1/extra", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip"), "claims"),
        (one_chunk_of_many, "lacks the chunk at"),
        (raw_chunk(bomb()), "does not unpack"),
        (raw_chunk(short()), "does not unpack"),
        (raw_chunk(bytes(2000)), "does not unpack"),
        (backwards, "uses filter 1; write it with shuffle and gzip, each once, in this order"),
        (dataset("layers/conv1/extra", data=np.ones(9), chunks=(9,), fletcher32=True), "uses filter 3"),
        (dataset("layers/conv1/extra", data=np.ones(9), chunks=(9,), compression="lzf"), "uses filter 32000"),
        (dataset("layers/conv1/extra", data=np.ones(9, "f4"), chunks=(9,), scaleoffset=3), "uses filter"),
        (dataset("layers/conv1/extra", data=[1, 2]), "must be float16, float32 or float64"),
        (dataset("layers/conv1/extra", data=np.ones(2, "c8")), "must be float16, float32 or float64"),
        (dataset("layers/conv1/extra", data=["text"]), "must be float16, float32 or float64"),
        (dataset("layers/conv1/extra", (2,), dtype=h5py.ref_dtype), "must be float16, float32 or float64"),
        (dataset("layers/conv1/extra", (2,), dtype=h5py.vlen_dtype(np.float32)), "must be float16"),
        (dataset("layers/conv1/extra", data=h5py.Empty("f4")), "has no shape"),
        (compound, "must be float16, float32 or float64"),
        (custom_float, "must be float16, float32 or float64"),
        (dataset("layers/conv1/extra", data=np.full(3, np.nan, "f4")), "all NaN"),
        (dataset("classes", data=[1.0, 2.0]), "/classes: must hold fixed-length strings"),
        (dataset("classes", data=np.bytes_(b"one")), "/classes: must hold fixed-length strings along one axis"),
        (dataset("classes", data=["a", "b"]), "/classes: must hold fixed-length strings"),
        (dataset("classes", (2,), dtype=h5py.ref_dtype), "/classes: must hold fixed-length strings"),
        (dataset("classes", (2,), dtype=h5py.vlen_dtype(np.uint8)), "/classes: must hold fixed-length strings"),
        (dataset("classes", data=np.array([b"ok", b"\xff\xfe"])), r"/classes\[1\]: is not UTF-8"),
        (dataset("classes", data=np.array([b"a"] * 9), chunks=(9,), compression="gzip"), "is chunked"),
        (lambda h: (h.__delitem__("classes"), h.create_group("classes")), "must be a dataset"),
        (link("classes2", h5py.ExternalLink("other.h5", "/classes")), "is a link"),
    ],
)
def test_crafted(path, change, match):
    with h5py.File(path, "r+") as h:
        change(h)
    refused(path, match)


def test_a_stated_limit(path):
    refused(path, "pass the limit", limit_bytes=100)
    schema.read(path, limit_bytes=8 * 3 * 9 * 4 + 8 * 4 + 2 * 16)


def test_groups_that_hold_each_other(path):
    """Six names of each of a few groups make thousands of paths."""
    with h5py.File(path, "r+") as h:
        group = h.create_group("g0")
        for depth in range(1, 4):
            inner = h.create_group(f"g{depth}")
            for i in range(6):
                group[f"x{i}"] = inner
            group = inner
        group["d"] = np.ones(2)
    with hdf5.opened(path) as guard:
        guard.members_left = 100
        with pytest.raises(WeightError, match="members that a weight file may have"):
            list(hdf5.walk(guard))


def test_other_members_are_left_alone(path):
    with h5py.File(path, "r+") as h:
        h.create_group("optimizer")["state"] = [1, 2, 3]
    assert schema.read(path, verify=True).classes == ["a", "b"]
