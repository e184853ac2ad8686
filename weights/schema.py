"""minitl's weight file: HDF5 that any HDF5 tool reads, holding a network, its arrays, and how to use them.

    /                       attributes: format="minitl", format_version, network (the graph, JSON), origin, license,
                            preprocessing (JSON; absent if unknown), sha256 of these texts
    /classes                class names in output order, UTF-8; absent if unknown. Names may repeat.
    /layers/<name>/<role>   float32 or float16; role is weight, bias, running_mean, …; OIHW or (out, in)

Each dataset carries `sha256`: that of its little-endian C-order bytes; for the names, of their UTF-8 bytes, each
name ended by a zero byte. Strings are of fixed length, padded with zero bytes. Members that are not named here are
left alone, unread.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import WeightError
from . import hdf5
from .atomic import write_bytes

FORMAT = "minitl"
FORMAT_VERSION = 1
STORED_DTYPES = ("float32", "float16")
NAME = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]+")  # HDF5 takes "." for the group itself
GZIP_LEVEL = 6
CHUNK_BYTES = 1 << 20
MAX_SIDE = 2**16 - 1  # of an input; a larger one is a mistake or an attack


@dataclass(eq=False)
class WeightFile:
    """What a weight file holds.

    network: {"name": str, "input_shape": [C, H, W], "nodes": [{"name", "op", "inputs", "attributes"}, …]}.
    layers: layer name -> role ("weight", "bias", …) -> array. classes: names in output order, or None.
    preprocessing: the dict of images.Preprocessing, or None. origin, license: for people to read.
    """

    network: dict[str, Any]
    layers: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    classes: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    origin: str = ""
    license: str = ""


def write(path: str | os.PathLike[str], file: WeightFile, dtype: str = "float32", compress: bool = True) -> None:
    """Write `file` to `path`: beside it first, then renamed into place, so that no half-written file is ever found.

    Arrays are stored as `dtype` ("float32" or "float16"; float64 is rounded). The same content gives the same
    bytes. Raises WeightError for content that could not be read back (names with other characters than letters,
    digits and "_.-", values beyond the range of `dtype`, arrays that are all NaN) and for a disk that refuses.
    """
    path = Path(path)
    if dtype not in STORED_DTYPES:
        raise WeightError(f"{path}: dtype must be one of {STORED_DTYPES}; got {dtype!r}")
    texts = _texts(path, file)
    image = io.BytesIO()  # a full disk then meets one plain write, and HDF5 never has to close a file it cannot flush
    # v108 is what attributes over 64 KB need; every HDF5 since 2008 reads it
    with h5py.File(image, "w", libver=("v108", "v110")) as h:
        _put_text(h, "format", FORMAT)
        h.attrs["format_version"] = FORMAT_VERSION
        for name, text in texts.items():
            _put_text(h, name, text)
        _put_text(h, "sha256", _texts_sha256(texts))
        if file.classes is not None:
            classes = _checked_classes(path, file.classes)
            content = [name.encode() for name in classes]
            longest = h5py.string_dtype("utf-8", max(map(len, content), default=1) or 1)
            dataset = h.create_dataset("classes", data=np.array(content, longest))
            _put_text(dataset, "sha256", hdf5.names_sha256(classes))
        layers = h.create_group("layers", track_order=True)
        for layer, arrays in file.layers.items():
            _checked_name(path, "layer", layer)
            group = layers.create_group(layer, track_order=True)
            for role, array in arrays.items():
                _checked_name(path, f"role in layer {layer!r}", role)
                stored = _stored(path, f"{layer}/{role}", array, dtype)
                dataset = group.create_dataset(role, data=stored, **(_chunks(stored) if compress else {}))
                _put_text(dataset, "sha256", hdf5.array_sha256(stored))
    write_bytes(path, image.getbuffer())


def read(path: str | os.PathLike[str], verify: bool = False, limit_bytes: int = hdf5.LIMIT_BYTES) -> WeightFile:
    """Read a weight file, trusting nothing in it; `verify` checks every hash too.

    Arrays come back as native float32 (float16 is widened) or float64, C-ordered. `limit_bytes` is the most that
    they may take in memory together. Raises WeightError naming the file, the item and the remedy.
    """
    with hdf5.opened(path, limit_bytes) as guard:
        root = guard.file
        _checked_format(guard)
        texts = {name: guard.text(root, name) for name in ("network", "origin", "license", "preprocessing")}
        if texts["network"] is None:
            raise guard.error("attribute 'network'", "is missing")
        if verify:
            _same(guard, "attributes of /", guard.text(root, "sha256"), _texts_sha256(texts))
        network = _parsed(guard, "network", texts["network"])
        _checked_network(guard.path, network)
        preprocessing = None
        if texts["preprocessing"] is not None:
            preprocessing = _parsed(guard, "preprocessing", texts["preprocessing"])
        members = dict(guard.members(root))
        classes = None
        if "classes" in members:
            classes = guard.names(_expected(guard, members["classes"], h5py.Dataset))
            if verify:
                _same(guard, "/classes", guard.text(members["classes"], "sha256"), hdf5.names_sha256(classes))
        if "layers" not in members:
            raise guard.error("/layers", "is missing")
        layers: dict[str, dict[str, np.ndarray]] = {}
        for layer, group in guard.members(_expected(guard, members["layers"], h5py.Group)):
            _checked_name(guard.path, "layer", layer)
            layers[layer] = {}
            for role, dataset in guard.members(_expected(guard, group, h5py.Group)):
                _checked_name(guard.path, f"role in layer {layer!r}", role)
                layers[layer][role] = _array(guard, _expected(guard, dataset, h5py.Dataset), verify)
    return WeightFile(network, layers, classes, preprocessing, texts["origin"] or "", texts["license"] or "")


def verify(path: str | os.PathLike[str], limit_bytes: int = hdf5.LIMIT_BYTES) -> None:
    """Check every hash of a weight file; WeightError names the first item that is not what was written."""
    read(path, verify=True, limit_bytes=limit_bytes)


def _array(guard: hdf5.Guard, dataset: h5py.Dataset, verify: bool) -> np.ndarray:
    array = guard.array(dataset)
    if verify:
        _same(guard, dataset.name, guard.text(dataset, "sha256"), hdf5.array_sha256(array))
    if _all_nan(array):
        raise guard.error(dataset.name, "is all NaN: a placeholder, not weights", "use a file that has this layer")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _put_text(where: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """Write a UTF-8 attribute of fixed length (see Guard.text for why not variable)."""
    content = text.encode()
    where.attrs.create(name, np.array(content, h5py.string_dtype("utf-8", max(len(content), 1))))


def _stored(path: Path, item: str, array: Any, dtype: str) -> np.ndarray:
    """`array` in the stored dtype and byte order, refused where that would lose more than precision."""
    given = np.asarray(array)
    if given.dtype.kind != "f":
        raise WeightError(f"{path}: {item}: must be floating-point; got {given.dtype} of shape {given.shape}")
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(given, np.dtype(dtype).newbyteorder("<")).reshape(given.shape)
    if not np.array_equal(np.isinf(stored), np.isinf(given)):
        raise WeightError(f"{path}: {item}: has values beyond the range of {dtype}; store it with a wider dtype")
    if _all_nan(stored):
        raise WeightError(f"{path}: {item}: is all NaN, so not weights; leave the layer out")
    return stored


def _all_nan(array: np.ndarray) -> bool:
    # the first value settles nearly every case without a pass over the array
    return array.size > 0 and bool(np.isnan(array.reshape(-1)[0])) and bool(np.isnan(array).all())


def _chunks(array: np.ndarray) -> dict[str, Any]:
    """Dataset options: shuffle and gzip over whole rows of about a mebibyte; none where there is nothing to pack."""
    if array.ndim == 0 or array.size == 0:
        return {}
    row = array.nbytes // array.shape[0]
    rows = min(array.shape[0], max(1, CHUNK_BYTES // row))
    return {"chunks": (rows, *array.shape[1:]), "shuffle": True, "compression": "gzip", "compression_opts": GZIP_LEVEL}


def _texts(path: Path, file: WeightFile) -> dict[str, str]:
    """The text attributes, checked to be such as `read` accepts."""
    _checked_network(path, file.network)
    texts = {"network": _dumped(path, "network", file.network), "origin": file.origin, "license": file.license}
    if file.preprocessing is not None:
        texts["preprocessing"] = _dumped(path, "preprocessing", file.preprocessing)
    for name, text in texts.items():
        if not _storable(text):
            raise WeightError(f"{path}: {name}: {text!r:.80} is not valid text; give a string without zero characters")
    return texts


def _dumped(path: Path, item: str, value: Any) -> str:
    try:
        if not isinstance(value, dict):
            raise TypeError(f"a dict is needed, not {type(value).__name__}")
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightError(f"{path}: {item}: cannot be written as JSON ({error}); use plain finite values") from error


def _parsed(guard: hdf5.Guard, item: str, text: str) -> dict[str, Any]:
    """A JSON object of finite numbers."""
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise guard.error(f"attribute {item!r}", f"is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise guard.error(f"attribute {item!r}", f"must be a JSON object; got {text!r:.60}")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _checked_format(guard: hdf5.Guard) -> None:
    found = guard.text(guard.file, "format")
    if found != FORMAT:
        what = "has no attribute 'format'" if found is None else f"has format {found!r:.60}"
        raise guard.error("the file", f"{what}, so it is not minitl's", "turn it into one with 'minitl convert'")
    version = guard.integer(guard.file, "format_version")
    if version is None or version < 1:
        raise guard.error("attribute 'format_version'", f"must be 1 to {FORMAT_VERSION}; got {version}")
    if version > FORMAT_VERSION:
        known = f"is {version}, and this minitl reads up to {FORMAT_VERSION}"
        raise guard.error("attribute 'format_version'", known, "upgrade minitl")


def _checked_network(path: Path, network: Any) -> None:
    """The shape of the graph's JSON; whether it makes sense as a network is for nn.Network to judge."""

    def wrong(item: str, need: str, found: Any) -> WeightError:
        return WeightError(f"{path}: network: {item} must be {need}; got {found!r:.80}")

    if not isinstance(network, dict) or not isinstance(network.get("name"), str):
        raise wrong("'name'", "a string", network.get("name") if isinstance(network, dict) else network)
    shape = network.get("input_shape")
    listed = isinstance(shape, (list, tuple)) and len(shape) > 0
    if shape is not None and not (listed and all(type(n) is int and 0 < n <= MAX_SIDE for n in shape)):
        raise wrong("'input_shape'", f"null or a list of integers from 1 to {MAX_SIDE}, such as [C, H, W]", shape)
    head = network.get("head", [])
    if not isinstance(head, (list, tuple)) or not all(isinstance(name, str) for name in head):
        raise wrong("'head'", "a list of node names", head)
    nodes = network.get("nodes")
    if not isinstance(nodes, (list, tuple)):
        raise wrong("'nodes'", "a list", nodes)
    seen: set[str] = set()
    for node in nodes:
        if not isinstance(node, dict):
            raise wrong("each node", "an object", node)
        name = node.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in seen:
            raise wrong("the name of each node", "unique and of letters, digits and '_.-'", name)
        seen.add(name)
        if not isinstance(node.get("op"), str):
            raise wrong(f"'op' of node {name!r}", "a string", node.get("op"))
        inputs = node.get("inputs")
        if not isinstance(inputs, (list, tuple)) or not all(isinstance(i, str) for i in inputs):
            raise wrong(f"'inputs' of node {name!r}", "a list of node names", inputs)
        if not isinstance(node.get("attributes"), dict):
            raise wrong(f"'attributes' of node {name!r}", "an object", node.get("attributes"))
    for name in head:
        if name not in seen:
            raise wrong("each name in 'head'", "that of a node", name)


def _checked_name(path: Path, what: str, name: Any) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WeightError(f"{path}: {what}: the name {name!r:.80} must consist of letters, digits and '_.-'; rename it")


def _checked_classes(path: Path, classes: list[str]) -> list[str]:
    for index, name in enumerate(classes):
        if not _storable(name):
            raise WeightError(f"{path}: classes[{index}]: {name!r:.80} is not valid text; rename the class")
    return list(classes)


def _storable(text: Any) -> bool:
    """Whether `text` is a string that HDF5 can hold: no zero characters, no lone surrogates."""
    try:
        return isinstance(text, str) and "\0" not in text and text.encode("utf-8") is not None
    except UnicodeEncodeError:
        return False


def _expected(guard: hdf5.Guard, member: Any, kind: type) -> Any:
    if not isinstance(member, kind):
        raise guard.error(member.name, f"must be a {kind.__name__.lower()}; got a {type(member).__name__.lower()}")
    return member


def _same(guard: hdf5.Guard, item: str, stated: str | None, found: str) -> None:
    if stated is None:
        raise guard.error(item, "carries no sha256", "read it without verify if you trust the file")
    if stated != found:
        raise guard.error(item, f"its sha256 is {found[:12]}…, but the file states {stated[:12]:.12}…")


def _texts_sha256(texts: Mapping[str, str | None]) -> str:
    """sha256 of every text that is there: name, zero byte, text, zero byte, in the order of the names."""
    parts = (f"{name}\0{text}\0".encode() for name, text in sorted(texts.items()) if text is not None)
    return hashlib.sha256(b"".join(parts)).hexdigest()
