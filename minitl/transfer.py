"""From weights learned on one task to a network for another: loading, new heads, partial transfer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import models
from .data.labels import is_text
from .errors import ArgumentError, GraphError, WeightError
from .images import Preprocessing
from .models import table
from .nn import AdaptiveAvgPool2d, Conv2d, Flatten, Graph, Layer, Linear, Network, Node
from .nn.graph import INPUT, chain, rewire
from .nn.loading import LoadReport
from .weights import registry, schema
from .weights.convert import Foreign

HEAD = "head"
HEADS = ("auto", "dense", "gap", "linear")
_BETWEEN = ("adaptive_avg_pool2d", "dropout", "flatten")  # what may stand between the features and a classifier
_ELSEWHERE = (
    ".onnx",
    ".pth",
    ".pt",
    ".pkl",
    ".ckpt",
    ".safetensors",
    ".caffemodel",
    ".keras",
    ".npz",
    ".tflite",
    ".pb",
)


def load(
    path: str | os.PathLike[str],
    classes: Iterable[str] | None = None,
    head: str = "auto",
    seed: int = 0,
    verify: bool = False,
) -> Network:
    """The network of a minitl weight file, or of one that comes with minitl, by its name.

    Graph, arrays, class names and preprocessing come from the file. classes: give the network a new head for these;
    see `replace_head` for `head` and `seed`. verify: check every array against its sha256, too. Raises WeightError if
    the file cannot be found, trusted or understood.
    """
    if classes is None and head != "auto":
        raise ArgumentError(f"load: head={head!r} needs classes=[...], the names of what the new head tells apart")
    wanted = None if classes is None else _checked_classes(classes)
    net = Network.from_file(_read(path, verify), os.fspath(path))
    return net if wanted is None else replace_head(net, wanted, head, seed)


def load_weights(
    net: Network, path: str | os.PathLike[str], strict: bool = True, skip: Iterable[str] = (), verify: bool = False
) -> LoadReport:
    """Copies the arrays of a weight file into a network, by layer name or alias, and reports what became of each.

    strict: raise WeightError unless every parameter is found and every array used; otherwise take what fits. skip:
    layers to leave alone. verify: as for `load`. Loading nothing at all always raises.
    """
    return net.load_state(_read(path, verify).layers, strict=strict, skip=skip)


def from_foreign(foreign: Foreign) -> Network:
    """The network of a foreign weight file that `weights.convert.read` has understood; WeightError if arrays misfit."""
    count = None if foreign.outputs is None else foreign.outputs[1]
    net = models.build(foreign.architecture, num_classes=count, classes=foreign.classes, seed=None)
    net.load_state(foreign.layers)
    net.preprocessing = Preprocessing.from_dict(foreign.preprocessing)
    net.origin, net.license = foreign.origin, foreign.license
    return net


def replace_head(net: Network, classes: Iterable[str], head: str = "auto", seed: int = 0) -> Network:
    """A new network with the layers of `net` up to its classifier, and a new head for `classes` (at least two names).

    head: "dense", the paper's: fc6 and fc7 with dropout (taken from `net` where it has them), then a dense layer;
    "gap": global average and a dense layer; "linear": flatten and a dense layer; "auto": in a network that classifies,
    only its last layer with parameters is replaced, and one that ends before a classifier gets "gap": on the
    frozen features of a small set of photographs it classified as well as "linear" did, over a wider range of rates,
    with a thirtieth of the numbers or less, and it takes any input size.

    The last new layer is named "head". It starts at zero, as when ViT is transferred (Dosovitskiy et al. 2021, section
    3.2), so that no random scores disturb the layers below; where a ReLU follows it, which would then never pass a
    gradient, it starts small. Other new layers are drawn from `seed`. `net.head` names all new layers with parameters.
    Kept layers keep their numbers, freezing and rates. Raises GraphError where there is nothing to put a head on.
    """
    names = _checked_classes(classes)
    if head not in HEADS:
        raise ArgumentError(f"head must be one of {', '.join(HEADS)}; got {head!r}")
    if net.input_shape is None:
        raise GraphError(f"{net.name}: a new head needs the network's input_shape, to know its own size")
    shapes = net.graph.shapes(net.input_shape)
    old = _classifier(net, shapes)
    if head == "auto" and old:
        nodes = _last_replaced(net.graph, old[-1], len(names))
        kept = set(net.graph.names) - {old[-1]}
    else:
        trunk = _trunk(net.graph, old)
        nodes = net.graph.segment(INPUT, trunk)
        kept = {node.name for node in nodes}
        added = _new_head(net.name, "gap" if head == "auto" else head, shapes[trunk], len(names))
        if head == "dense":
            kept |= {name for name, layer in added[:-1] if name in net.graph and net.graph[name].layer == layer}
        taken = {node.name for node in nodes} & {name for name, _ in added}
        if taken:
            raise GraphError(
                f"{net.name}: has layers named {', '.join(sorted(taken))}, which a new head needs; rename them"
            )
        nodes += chain(added, trunk)
    return _assemble(net, nodes, kept, names, seed)


def _read(path: str | os.PathLike[str], verify: bool = False) -> schema.WeightFile:
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"load: path must be that of a weight file, or a known name; got {path!r:.60}")
    if Path(path).suffix.lower() in _ELSEWHERE:
        raise WeightError(
            f"{os.fspath(path)}: only minitl's own weight files (.h5) load; put the arrays into HDF5 under their own "
            "names and run 'minitl convert' on that"
        )
    return schema.read(registry.find(path), verify=verify)


def _checked_classes(classes: Iterable[str]) -> list[str]:
    if not isinstance(classes, Iterable):
        raise ArgumentError(f"classes must be a list of names; got {classes!r:.60}")
    names: list[Any] = [classes] if isinstance(classes, (str, bytes)) else list(classes)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ArgumentError(f"classes: each name must be a string that is not empty; got {name!r}")
        if not is_text(name):
            raise ArgumentError(f"classes: {name!r:.80} is not valid text (UTF-8 without zero characters); rename it")
    if len(names) < 2:
        raise ArgumentError(f"classes: a classifier tells at least two classes apart; got {names}")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ArgumentError(f"classes: names must differ; {', '.join(map(repr, twice[:5]))} occur more than once")
    return names


def _classifier(net: Network, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The layers with parameters from the first dense one on; in a network without dense layers that gives flat scores,
    the last convolution. Empty if the network ends before a classifier."""
    layers = [node for node in net.graph if node.layer.parameter_shapes()]
    if not layers or len(shapes[net.graph.output]) != 1:
        return []
    dense = [i for i, node in enumerate(layers) if node.op == "linear"]
    return [node.name for node in layers[dense[0] if dense else -1 :]]


def _trunk(graph: Graph, classifier: list[str]) -> str:
    """The node whose value the classifier takes, before pooling, flattening and dropout."""
    if not classifier:
        return graph.output
    name = graph[classifier[0]].inputs[0]
    while name != INPUT and graph[name].op in _BETWEEN:
        name = graph[name].inputs[0]
    if name == INPUT:
        raise GraphError(f"there are no features below {classifier[0]!r} to put another head on; use head='auto'")
    return name


def _last_replaced(graph: Graph, old: str, count: int) -> list[Node]:
    """The graph with its last layer with parameters made anew for `count` classes, and named "head"."""
    layer = graph[old].layer
    after = graph.names[graph.names.index(old) + 1 :]
    initializer = "normal_001" if any(graph[name].op == "relu" for name in after) else "zeros"
    if isinstance(layer, Linear):
        new: Layer = replace(layer, out_features=count, initializer=initializer)
    elif isinstance(layer, Conv2d):
        new = replace(layer, out_channels=count, initializer=initializer)
    else:
        raise GraphError(f"layer {old!r} ({layer.op}) is no dense layer or convolution; use head='gap' or 'linear'")
    nodes = [Node(HEAD, new, node.inputs) if node.name == old else node for node in graph]
    return rewire(nodes, old, HEAD)


def _new_head(architecture: str, head: str, shape: tuple[int, ...], count: int) -> table.Chain:
    """The layers of a head on features of this shape."""
    if head == "dense":
        hidden = models.HIDDEN_LAYERS[architecture]() if architecture in models.HIDDEN_LAYERS else None
        if hidden is None or not _fits(hidden, shape):
            features = Flatten().output_shape(shape)[0]
            hidden = [(f"{HEAD}.flatten", Flatten()), *table.hidden_layers(features, dropout="after")]
        return [*hidden, (HEAD, Linear(table.HIDDEN, count, initializer="zeros"))]
    if head == "gap" and len(shape) != 3:
        raise GraphError(f"head='gap' needs features (C, H, W) to average; these have shape {shape}; use head='linear'")
    layers: table.Chain = [(f"{HEAD}.flatten", Flatten())]
    features = Flatten().output_shape(shape)[0]
    if head == "gap":
        layers.insert(0, (f"{HEAD}.pool", AdaptiveAvgPool2d(1)))
        features = shape[0]
    return [*layers, (HEAD, Linear(features, count, initializer="zeros"))]


def _fits(hidden: table.Chain, shape: tuple[int, ...]) -> bool:
    """Whether the paper's head takes features of this shape: a grid of means makes the size free, not the channels."""
    pool = hidden[0][1]
    first = next(layer for _, layer in hidden if isinstance(layer, Linear))
    return len(shape) == 3 and Flatten().output_shape(pool.output_shape(shape)) == (first.in_features,)


def _assemble(net: Network, nodes: list[Node], kept: set[str], classes: list[str], seed: int) -> Network:
    """The network of these nodes, with the numbers of `net` in the layers kept and new ones in the others."""
    fresh = [node.name for node in nodes if node.layer.array_shapes() and node.name not in kept]
    new = Network(
        nodes,
        name=net.name,
        input_shape=net.input_shape,
        classes=classes,
        preprocessing=net.preprocessing,
        origin=net.origin,
        license=net.license,
        head=fresh,
        seed=None,
    )
    given = net.named_arrays()
    for name, array in new.named_arrays().items():
        if name.rpartition(".")[0] in kept:
            array.assign(given[name].data)
            array.frozen = given[name].frozen
    rated = net.named_parameters()
    for name, p in new.named_parameters().items():
        if name.rpartition(".")[0] in kept:
            p.lr_mult, p.lr_from = rated[name].lr_mult, rated[name].lr_from
    return new.draw(fresh, seed)
