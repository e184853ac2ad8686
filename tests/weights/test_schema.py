"""What is written is read back, bit for bit; what could not be read back is not written."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitl.errors import WeightError
from minitl.weights import schema
from minitl.weights.schema import WeightFile

NETWORK = {
    "name": "tiny",
    "input_shape": [3, 8, 8],
    "nodes": [{"name": "conv1", "op": "conv2d", "inputs": ["input"], "attributes": {"stride": 1}}],
}


def tiny(**changes):
    weights = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    layers = {"conv1": {"weight": weights, "bias": np.array([1.0, -2.0], np.float32)}}
    return WeightFile(**{"network": NETWORK, "layers": layers, **changes})


def refused(match, tmp_path, file, **options):
    """Writing `file` fails in one line that says `match`, and leaves nothing behind."""
    path = tmp_path / "w.h5"
    with pytest.raises(WeightError, match=match) as caught:
        schema.write(path, file, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


names = st.from_regex(r"(?!\.+\Z)[A-Za-z0-9_.-]{1,20}", fullmatch=True)
arrays = st.sampled_from([np.float16, np.float32]).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements={"allow_nan": False, "allow_subnormal": True},
    )
)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(
    layers=st.dictionaries(names, st.dictionaries(names, arrays, max_size=3), max_size=4),
    classes=st.none() | st.lists(text, max_size=80),
    preprocessing=st.none() | st.dictionaries(text, st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
    origin=text,
    licence=text,
    compress=st.booleans(),
)
def test_round_trip(tmp_path_factory, layers, classes, preprocessing, origin, licence, compress):
    path = tmp_path_factory.mktemp("w") / "w.h5"
    schema.write(path, WeightFile(NETWORK, layers, classes, preprocessing, origin, licence), compress=compress)
    back = schema.read(path, verify=True)
    assert back.network == NETWORK
    assert (back.classes, back.preprocessing, back.origin, back.license) == (classes, preprocessing, origin, licence)
    assert [(layer, list(roles)) for layer, roles in back.layers.items()] == [
        (layer, list(roles)) for layer, roles in layers.items()
    ]
    for layer, roles in layers.items():
        for role, array in roles.items():
            found = back.layers[layer][role]
            assert found.dtype == np.float32
            assert found.shape == array.shape
            assert found.tobytes() == np.ascontiguousarray(array, np.float32).tobytes()


@given(array=hnp.arrays(np.float32, (3, 4), elements={"min_value": -60000, "max_value": 60000}))
def test_float16_is_the_nearest_float16(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("w") / "w.h5"
    schema.write(path, tiny(layers={"a": {"weight": array}}), dtype="float16")
    with h5py.File(path) as h:
        assert h["layers/a/weight"].dtype == np.float16
    found = schema.read(path, verify=True).layers["a"]["weight"]
    assert found.dtype == np.float32
    assert np.array_equal(found, array.astype(np.float16).astype(np.float32))


def test_many_chunks_and_strides(tmp_path):
    """Arrays over several chunks, with a partial last one, given as views of any strides."""
    array = np.random.default_rng(0).normal(size=(37, 90, 101)).astype(np.float32)
    views = {"plain": array, "turned": array.T, "reversed": array[::-1, ::2]}
    schema.write(tmp_path / "w.h5", tiny(layers={"a": views}))
    with h5py.File(tmp_path / "w.h5") as h:
        assert h["layers/a/plain"].id.get_num_chunks() == 2
    found = schema.read(tmp_path / "w.h5", verify=True).layers["a"]
    for role, view in views.items():
        assert np.array_equal(found[role], view)
        assert found[role].flags.c_contiguous


def test_float64_and_big_endian_are_read_natively(tmp_path):
    schema.write(tmp_path / "w.h5", tiny())
    values = np.array([1 / 3, -2.0])
    with h5py.File(tmp_path / "w.h5", "r+") as h:
        h.create_dataset("layers/conv1/little", data=values)
        h.create_dataset("layers/conv1/big", data=values.astype(">f8"), chunks=(1,), compression="gzip")
        h.create_dataset("layers/conv1/half", data=values.astype(">f2"))
    found = schema.read(tmp_path / "w.h5").layers["conv1"]
    assert found["little"].dtype == found["big"].dtype == np.dtype("=f8")
    assert np.array_equal(found["little"], values)
    assert np.array_equal(found["big"], values)
    assert found["half"].dtype == np.float32


def test_same_content_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        schema.write(tmp_path / name, tiny(classes=["x", "y"], preprocessing={"scale": 1.0}))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("kilobytes", [60, 200])
def test_a_large_graph(tmp_path, kilobytes):
    """Plain HDF5 attributes end at 64 KB."""
    node = {"op": "relu", "inputs": ["input"], "attributes": {"note": "é" * 500}}
    network = {**NETWORK, "nodes": [{"name": f"n{i}", **node} for i in range(kilobytes * 1000 // 1000)]}
    schema.write(tmp_path / "w.h5", tiny(network=network))
    assert schema.read(tmp_path / "w.h5", verify=True).network == network


def test_any_hdf5_tool_reads_it(tmp_path):
    schema.write(tmp_path / "w.h5", tiny(classes=["Ameise", "Biene ü"]))
    with h5py.File(tmp_path / "w.h5") as h:
        assert h.attrs["format"] == b"minitl"
        assert h.attrs["format_version"] == 1
        assert h["classes"].asstr()[1] == "Biene ü"
        assert h["layers/conv1/weight"].shape == (2, 3, 2, 2)
        assert h["layers/conv1/weight"].dtype == np.float32
        assert len(h["layers/conv1/weight"].attrs["sha256"]) == 64


def test_ascii_strings_serve_too(tmp_path):
    """Other tools mark text as ASCII or UTF-8, and pad it as they like."""
    schema.write(tmp_path / "w.h5", tiny(origin="here", classes=["a", "b"]))
    with h5py.File(tmp_path / "w.h5", "r+") as h:
        for name in ("format", "network", "origin"):
            h.attrs[name] = np.bytes_(bytes(h.attrs[name]) + b"\0\0")
        del h["classes"]
        h["classes"] = np.array([b"a", b"b"], "S7")
    back = schema.read(tmp_path / "w.h5")
    assert back.network == NETWORK
    assert back.origin == "here"
    assert back.classes == ["a", "b"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a b", "ü", "a\n", 3])
def test_names_that_are_refused(tmp_path, name):
    refused("layer: the name", tmp_path, tiny(layers={name: {"weight": np.ones(2)}}))
    refused("role in layer", tmp_path, tiny(layers={"a": {name: np.ones(2)}}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": 1}, "'name' must be"),
        ({"input_shape": []}, "'input_shape' must be"),
        ({"input_shape": [3, 8, 0]}, "'input_shape' must be"),
        ({"input_shape": [3, 8, True]}, "'input_shape' must be"),
        ({"nodes": {}}, "'nodes' must be"),
        ({"nodes": ["conv1"]}, "each node must be"),
        ({"nodes": NETWORK["nodes"] * 2}, "unique"),
        ({"nodes": [{**NETWORK["nodes"][0], "name": "a/b"}]}, "the name of each node"),
        ({"nodes": [{**NETWORK["nodes"][0], "op": None}]}, "'op' of node 'conv1'"),
        ({"nodes": [{**NETWORK["nodes"][0], "inputs": "input"}]}, "'inputs' of node 'conv1'"),
        ({"nodes": [{**NETWORK["nodes"][0], "attributes": []}]}, "'attributes' of node 'conv1'"),
        ({"extra": float("nan")}, "network: cannot be written as JSON"),
        ({"extra": {1, 2}}, "network: cannot be written as JSON"),
    ],
)
def test_networks_that_are_refused(tmp_path, change, match):
    refused(match, tmp_path, tiny(network={**NETWORK, **change}))


@pytest.mark.parametrize(
    ("changes", "options", "match"),
    [
        ({}, {"dtype": "float64"}, "dtype must be one of"),
        ({"layers": {"a": {"weight": np.arange(3)}}}, {}, "a/weight: must be floating-point"),
        ({"layers": {"a": {"weight": np.full(3, np.nan)}}}, {}, "a/weight: is all NaN"),
        ({"layers": {"a": {"weight": np.array([1e5])}}}, {"dtype": "float16"}, "beyond the range of float16"),
        ({"layers": {"a": {"weight": np.array([1e300])}}}, {}, "beyond the range of float32"),
        ({"preprocessing": {"scale": float("inf")}}, {}, "preprocessing: cannot be written"),
        ({"preprocessing": []}, {}, "preprocessing: cannot be written"),
        ({"classes": ["a", "b\0"]}, {}, r"classes\[1\]"),
        ({"classes": [7]}, {}, r"classes\[0\]"),
        ({"classes": ["\ud800"]}, {}, r"classes\[0\]"),
        ({"origin": "\udcff"}, {}, "origin"),
        ({"license": None}, {}, "license"),
    ],
)
def test_contents_that_are_refused(tmp_path, changes, options, match):
    refused(match, tmp_path, tiny(**changes), **options)
