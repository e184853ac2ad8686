"""Network: a graph of named nodes with its parameters."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import device
from ..autograd import is_grad_enabled
from ..errors import ArgumentError, BackendUnavailable, GraphError, HostMemoryError, ShapeError, WeightError
from ..images import Preprocessing
from ..tensor import DEFAULT_DTYPE, Buffer, Parameter, Tensor, tensor
from ..weights import names, schema
from . import inference, init
from .fusion import Fused, steps
from .graph import INPUT, Graph, Node, chain, plain_shape
from .layers import INFERENCE, Layer, Mode, Shape
from .loading import LoadReport, check_layers, load_parameters
from .plan import Plan
from .summary import Summary


def _own(result: Tensor, lent: np.ndarray | None) -> Tensor:
    """The result, or a copy where it shows the array that a caller lent: he may write to it."""
    if lent is None or not np.may_share_memory(result.data, lent):
        return result
    return Tensor(result.data.copy(order="K"))


class Network:
    """A CNN: nodes in order, arrays by name, and what travels with them.

    graph: the nodes. name: the architecture, which also finds aliases of layer names. input_shape: (C, H,
    W) it was made for; others run where the arithmetic allows. classes: output names, or None for a
    network without a classifier. preprocessing: how a picture becomes an input, or None. Parameters are
    drawn from `seed`; None leaves them zero, for arrays to come.

    net(x) runs it; net.freeze, net.set_lr and net.plan govern training; net.predict and net.features take
    pictures; net.save writes a weight file.
    """

    def __init__(
        self,
        graph: Graph | Iterable[Node],
        *,
        name: str = "network",
        input_shape: Shape | None = None,
        classes: Iterable[str] | None = None,
        preprocessing: Preprocessing | None = None,
        origin: str = "",
        license: str = "",
        head: Iterable[str] = (),
        seed: int | None = 0,
    ) -> None:
        self.graph = graph if isinstance(graph, Graph) else Graph(graph)
        self.name = name
        self.input_shape = None if input_shape is None else plain_shape(input_shape)
        self.classes = None if classes is None else list(classes)
        self.preprocessing = preprocessing
        self.origin = origin
        self.license = license
        self.head = tuple(head)
        if self.input_shape is not None:
            self._check_output(self.graph.shapes(self.input_shape)[self.graph.output])
        self._arrays: dict[str, Parameter | Buffer] = {}
        for node in self.graph:
            initializers, buffers = node.layer.initializers(), node.layer.buffer_shapes()
            for role, shape in node.layer.array_shapes().items():
                full = f"{node.name}.{role}"
                draw = init.zeros if seed is None else init.INITIALIZERS[initializers[role]]
                rng = init.generator(0 if seed is None else seed, full)
                self._arrays[full] = (Buffer if role in buffers else Parameter)(draw(shape, rng), full)

    def draw(self, layers: Iterable[str], seed: int) -> Network:
        """Draws the arrays of these layers anew, as a new network of that seed has them."""
        for layer in map(self.layer_name, layers):
            node = self.graph[layer]
            initializers = node.layer.initializers()
            for role, shape in node.layer.array_shapes().items():
                full = f"{layer}.{role}"
                self._arrays[full].assign(init.INITIALIZERS[initializers[role]](shape, init.generator(seed, full)))
        return self

    def _check_output(self, shape: Shape) -> None:
        if self.classes is not None and shape != (len(self.classes),):
            raise GraphError(
                f"{self.name}: {len(self.classes)} class names need an output of shape ({len(self.classes)},), but "
                f"{self.graph.output!r} gives {shape}; leave classes out or give the network a classifier"
            )

    # Running

    def __call__(self, x: Any, *, training: bool = False, keys: Any = None) -> Tensor:
        """The output for x (N, C, H, W), already preprocessed; inference unless `training`.

        keys: uint64 (N,), one random key a picture, which dropout needs in training.
        """
        return self.run(x, training=training, keys=keys)

    def run(
        self, x: Any, *, after: str = INPUT, upto: str | None = None, training: bool = False, keys: Any = None
    ) -> Tensor:
        """The value of node `upto` (default: the output), given the value x of node `after`.

        An array x is converted to the network's dtype; a Tensor must have it.
        """
        lent = self._lent(x)
        if lent is not None:
            x = Tensor(lent)
        elif not isinstance(x, Tensor):
            x = tensor(x, dtype=self.dtype).to(self.device)
        if x.device != self.device:
            raise BackendUnavailable(
                f"{self.name}: is on {self.device}, but x is on {x.device}; move x with .to({self.device!r}), or the "
                f"network with .to({x.device!r})"
            )
        mode = Mode(True, keys) if training else INFERENCE
        after = after if after == INPUT else self.layer_name(after)
        upto = self.graph.output if upto is None else self.layer_name(upto)
        if after == upto:
            return _own(x, lent)
        inference = self.device == "cpu" and not is_grad_enabled()
        nodes, last_use = steps(self.graph, after, upto, inference)
        if after == INPUT:
            self._check_input(x)
        values = {after: x}
        del x
        for i, node in enumerate(nodes):
            inputs = [values[name] for name in node.inputs]
            for name in set(node.inputs):  # an activation goes as soon as its last reader has it
                if last_use[name] == i:
                    del values[name]
            try:
                values[node.name] = self._run_node(node, inputs, mode, inference)
            except (ShapeError, HostMemoryError) as error:
                raise type(error)(f"{node.label}: {error}") from None
        return _own(values[upto], lent)

    def _lent(self, x: Any) -> np.ndarray | None:
        """x, if it is an array that need not be copied: nothing is kept of it for gradients."""
        plain = type(x) is np.ndarray and self.device == "cpu" and not is_grad_enabled()
        return x if plain and x.dtype == self.dtype else None

    def _run_node(self, node: Node, inputs: list[Tensor], mode: Mode, inference: bool) -> Tensor:
        if isinstance(node, Fused):
            return node.forward(inputs, self._arrays, inference)
        arrays: dict[str, Tensor] = {role: self._arrays[name] for role, name in node.arrays}
        return node.layer.forward(*inputs, parameters=arrays, mode=mode, stream=node.stream)

    def _check_input(self, x: Tensor) -> None:
        if self.input_shape is None:
            return
        channels = self.input_shape[0]
        if x.ndim != 1 + len(self.input_shape) or (x.ndim == 4 and x.shape[1] != channels):
            raise ShapeError(
                f"{self.name}: takes (N, {', '.join(map(str, self.input_shape))}), preprocessed; got {x.shape}. "
                "For pictures use net.predict or net.features"
            )

    # Arrays

    def parameters(self) -> list[Parameter]:
        """All parameters in layer order, weight then bias."""
        return list(self.named_parameters().values())

    def named_parameters(self) -> dict[str, Parameter]:
        """All parameters by name ("conv1.weight"), in layer order."""
        return {name: p for name, p in self._arrays.items() if isinstance(p, Parameter)}

    def named_buffers(self) -> dict[str, Buffer]:
        """All arrays that layers keep up to date themselves by name ("bn1.running_mean"), in layer order."""
        return {name: b for name, b in self._arrays.items() if isinstance(b, Buffer)}

    def named_arrays(self) -> dict[str, Parameter | Buffer]:
        """All parameters and buffers by name, in layer order: what a weight file holds."""
        return dict(self._arrays)

    def __getitem__(self, name: str) -> Parameter | Buffer:
        """The parameter or buffer of a name such as "conv1.weight"."""
        layer, _, role = name.rpartition(".")
        full = f"{self.layer_name(layer)}.{role}" if layer else name
        if full not in self._arrays:
            raise GraphError(f"{self.name}: no parameter {name!r}; there are {', '.join(self._arrays)}")
        return self._arrays[full]

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """Copies of all arrays by layer and role, as a weight file holds them."""
        layers: dict[str, dict[str, np.ndarray]] = {}
        for name, p in self._arrays.items():
            layer, _, role = name.rpartition(".")
            layers.setdefault(layer, {})[role] = p.numpy()
        return layers

    def load_state(
        self, layers: Mapping[str, Mapping[str, Any]], *, strict: bool = True, skip: Iterable[str] = ()
    ) -> LoadReport:
        """Takes arrays by layer and role; see `nn.loading.load_parameters`."""
        return load_parameters(self, layers, strict=strict, skip=tuple(skip))

    def copy(self) -> Network:
        """An independent network with the same graph, numbers, freezing and rates."""
        return copy.deepcopy(self)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: that of the parameters."""
        return next((p.dtype for p in self._arrays.values()), DEFAULT_DTYPE)

    @property
    def device(self) -> str:
        """Where the arrays live: "cpu", or "cuda:0" and so on."""
        return next((p.device for p in self._arrays.values()), device.CPU)

    def to(self, name: str) -> Network:
        """Moves all arrays to a device, "cpu", "cuda" ("cuda:1" …) or "auto" (a GPU if there is one); returns itself.

        That GPU becomes the current one of this thread. An optimizer's state follows at its next step. Raises
        BackendUnavailable, with the reason, where the device cannot be used, and DeviceMemoryError where it has no
        room; then nothing has moved.
        """
        wanted = device.resolve(name)
        device.use(wanted)
        moved = [p.moved(wanted) for p in self._arrays.values()]
        for p, (array, grad) in zip(self._arrays.values(), moved, strict=True):
            p.settle(array, grad)
        return self

    def astype(self, dtype: Any) -> Network:
        """An independent network with its numbers in float32 or float64, frozen and rated as this one."""
        net = copy.copy(self)
        net.classes = None if self.classes is None else list(self.classes)
        net._arrays = {}
        for name, p in self._arrays.items():
            new = net._arrays[name] = type(p)(p.data.astype(dtype), name, p.frozen)
            if isinstance(new, Parameter) and isinstance(p, Parameter):
                new.lr_mult, new.lr_from = p.lr_mult, p.lr_from
        return net

    # Names

    def aliases(self) -> dict[str, str]:
        """Other names of the layers (torchvision's, Keras's), and "head" for all of a new head."""
        known = names.aliases(self.name)
        return {alias: name for alias, name in known.items() if name in self.graph and alias not in self.graph}

    def layer_name(self, name: str) -> str:
        """The name here of a layer given by that name or an alias; GraphError if there is none."""
        return name if name in self.graph else self.graph[self.aliases().get(name, name)].name

    def match(self, pattern: str) -> list[Parameter]:
        """Parameters whose layer, alias or own name matches a glob.

        "head" means every layer of a new head; a module's name, such as "fire2", means all of its layers ("fire2.…").
        Raises GraphError if nothing that has parameters matches.
        """
        found = [p for p in self._matching(pattern) if isinstance(p, Parameter)]
        if not found:
            raise self._no_match(pattern, self.named_parameters())
        return found

    def _matching(self, pattern: str) -> list[Parameter | Buffer]:
        layers = set(self.graph.match(pattern, self.aliases()))
        for name in self.graph.names:
            parts = name.split(".")
            modules = (".".join(parts[:n]) for n in range(1, len(parts)))
            if any(fnmatch.fnmatchcase(module, pattern) for module in modules):
                layers.add(name)
        if pattern == "head":
            layers |= set(self.head)
        return [
            p
            for name, p in self._arrays.items()
            if name.rpartition(".")[0] in layers or fnmatch.fnmatchcase(name, pattern)
        ]

    def _no_match(self, pattern: str, arrays: Iterable[str]) -> GraphError:
        layers = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in arrays))
        return GraphError(f"{self.name}: {pattern!r} matches no layer with parameters; there are {layers or 'none'}")

    # Freezing and rates

    def freeze(self, *patterns: str, upto: str | None = None) -> Network:
        """Freezes layers by glob, or all that leads to `upto`, that layer included; everything if neither is given.

        A frozen layer's running statistics neither move nor give way to a batch's, in training too. As a pattern, a
        module's name means its layers (see `match`); as `upto`, its output.
        """
        return self._set_frozen(True, patterns, upto)

    def unfreeze(self, *patterns: str, upto: str | None = None) -> Network:
        """Undoes `freeze` for the layers named."""
        return self._set_frozen(False, patterns, upto)

    def freeze_backbone(self) -> Network:
        """Freezes everything but the new head (or, without one, but the last layer that has parameters)."""
        parameters = list(self.named_parameters())
        if not parameters:
            raise GraphError(f"{self.name}: has no layer with parameters, so there is no backbone to freeze")
        head = set(self.head) or {parameters[-1].rpartition(".")[0]}
        for name, p in self._arrays.items():
            p.frozen = name.rpartition(".")[0] not in head
        return self

    def _set_frozen(self, frozen: bool, patterns: tuple[str, ...], upto: str | None) -> Network:
        found = []
        for pattern in patterns:
            matching = self._matching(pattern)
            if not matching:
                raise self._no_match(pattern, self._arrays)
            found += matching
        if upto is not None:
            below = self.graph.ancestors(self.layer_name(upto))
            leading = [p for name, p in self._arrays.items() if name.rpartition(".")[0] in below]
            if not leading:
                raise GraphError(f"{self.name}: nothing up to {upto!r} has parameters; name a later layer")
            found += leading
        if not patterns and upto is None:
            found = list(self._arrays.values())
        for p in found:
            p.frozen = frozen
        return self

    def set_lr(self, multipliers: Mapping[str, float]) -> Network:
        """Sets multipliers of the base rate by glob, in order, later ones winning: {"conv5_*": 0.1, "head": 10}."""
        if not isinstance(multipliers, Mapping):
            raise ArgumentError(
                f"set_lr: needs multipliers by pattern, such as {{'head': 10}}; got {multipliers!r:.60}"
            )
        for pattern, multiplier in multipliers.items():
            if not isinstance(multiplier, (int, float, np.number)) or not 0 <= multiplier < np.inf:
                raise ArgumentError(
                    f"set_lr: the multiplier of {pattern!r} must be a number, at least 0; got {multiplier!r}"
                )
        matched = {pattern: self.match(pattern) for pattern in multipliers}
        for pattern, multiplier in multipliers.items():
            for p in matched[pattern]:
                p.lr_mult, p.lr_from = float(multiplier), pattern
        return self

    def plan(self, lr: float | None = None) -> Plan:
        """What will train at which rate: layer, shape, parameters, frozen, rate at base `lr`, where it came from."""
        return Plan.of(self.parameters(), lr, self.named_buffers().values())

    def summary(self, batch_size: int = inference.BLOCK, input_shape: Shape | None = None) -> Summary:
        """Layer by layer: shape, parameters, operations, receptive field; and the memory that a batch takes.

        input_shape: of one picture, (C, H, W); default: the network's own. Nothing is run and nothing allocated.
        """
        return Summary.of(self, inference.positive("summary: batch_size", batch_size), input_shape)

    def cut(self) -> str:
        """The last node up to which nothing trains and nothing is random: its value can be computed once.

        "input" if there is none.
        """
        found = INPUT
        fixed = True
        bottlenecks = set(self.graph.bottlenecks())
        for node in self.graph:
            roles = node.layer.array_shapes()
            frozen = all(self._arrays[f"{node.name}.{role}"].frozen for role in roles)
            fixed = fixed and frozen and not node.layer.random
            if fixed and node.name in bottlenecks:
                found = node.name
        return found

    # Pictures

    def predict(self, pictures: Any, topk: int = 5, batch_size: int = inference.BLOCK) -> Any:
        """The `topk` likeliest classes of each picture: [[Prediction(index, name, probability), …], …].

        pictures: paths, or an array (N, H, W, 3) RGB or (N, H, W) grey, uint8. Always runs in inference mode.
        """
        return inference.predict(self, pictures, topk, batch_size)

    def features(self, pictures: Any, layer: str | None = None, batch_size: int = inference.BLOCK) -> np.ndarray:
        """The value of `layer` (default: what enters the classifier), one row a picture: (N, features) float32."""
        return inference.features(self, pictures, layer, batch_size)

    # Files

    def to_file(self) -> schema.WeightFile:
        """All that a weight file holds."""
        graph = {
            "name": self.name,
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "head": list(self.head),
            "nodes": self.graph.to_json(),
        }
        preprocessing = None if self.preprocessing is None else self.preprocessing.to_dict()
        return schema.WeightFile(graph, self.state(), self.classes, preprocessing, self.origin, self.license)

    @classmethod
    def from_file(cls, file: schema.WeightFile, where: str = "weight file") -> Network:
        """The network that a weight file holds. Raises WeightError, naming `where`, if it is not one."""
        graph = file.network
        try:
            preprocessing = None if file.preprocessing is None else Preprocessing.from_dict(file.preprocessing)
            nodes = Graph.from_json(graph.get("nodes"))
            check_layers(nodes, file.layers, where)  # before a graph that lies about its sizes takes memory
            net = cls(
                nodes,
                name=graph.get("name", "network"),
                input_shape=graph.get("input_shape"),
                classes=file.classes,
                preprocessing=preprocessing,
                origin=file.origin,
                license=file.license,
                head=graph.get("head", ()),
                seed=None,
            )
        except (GraphError, ShapeError, ArgumentError) as error:
            raise WeightError(f"{where}: {error}") from None
        if net.named_arrays():
            net.load_state(file.layers)
        return net

    def save(self, path: str | Path, dtype: str = "float32", compress: bool = True) -> None:
        """Writes a weight file, beside and then renamed into place. dtype: "float32" or "float16" as stored.

        compress: VGG-16's convolutions are then a sixth smaller, and take twenty times as long to write and eight
        times as long to read. What is frozen, and at which multiple of the base rate a layer learns, is not stored.
        """
        schema.write(path, self.to_file(), dtype=dtype, compress=compress)

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters())
        return f"Network({self.name!r}, {len(self.graph)} nodes, {count:,} parameters)"


def Sequential(*layers: Layer | tuple[str, Layer], **options: Any) -> Network:
    """A Network of layers one after the other, named by kind and position ("conv1", "relu1", …) or by (name, layer)."""
    counts: dict[str, int] = {}
    named = []
    for layer in layers:
        if isinstance(layer, tuple):
            named.append(layer)
            continue
        kind = {"conv2d": "conv", "linear": "fc", "max_pool2d": "pool"}.get(layer.op, layer.op or type(layer).__name__)
        counts[kind] = counts.get(kind, 0) + 1
        named.append((f"{kind}{counts[kind]}", layer))
    return Network(chain(named), **options)
