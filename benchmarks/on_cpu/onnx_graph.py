"""A network of ours as an ONNX model with the same numbers, for the runtimes that read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from minitl import Network
from minitl.kernels.geometry import pair
from minitl.nn import Node

OPSET = 17
INPUT = "input"
Shape = tuple[int, ...]


def model(net: Network, batch: int) -> onnx.ModelProto:
    """The graph for a fixed batch of pictures of `net.input_shape`; what only training needs is left out."""
    shapes = net.graph.shapes(net.input_shape)
    shape_of = {INPUT: tuple(net.input_shape), **shapes}
    nodes, initializers = [], []
    for node in net.graph:
        weights = [f"{node.name}.{role}" for role in node.layer.parameter_shapes()]
        initializers += [numpy_helper.from_array(np.ascontiguousarray(net[name].data), name) for name in weights]
        kind, attributes = _operator(node, shape_of[node.inputs[0]])
        made = helper.make_node(kind, [*node.inputs, *weights], [node.name], node.name, **attributes)
        nodes.append(made)
    output = net.graph.output
    graph = helper.make_graph(
        nodes,
        net.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, (batch, *net.input_shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, (batch, *shapes[output]))],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = 8  # that of the opset, which every runtime of today reads
    return made


def write(net: Network, batch: int, path: Path) -> None:
    """Writes the model with its numbers in a file beside it, which runtimes map instead of copying."""
    onnx.save_model(
        model(net, batch), str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024
    )


def _operator(node: Node, shape: Shape) -> tuple[str, dict[str, Any]]:
    """ONNX's name and attributes of a node that takes values (C, H, W) of this shape."""
    if node.op not in _OPERATORS:
        raise ValueError(f"{node.name}: {node.op} has no ONNX form here; there are {', '.join(_OPERATORS)}")
    return _OPERATORS[node.op](node.layer.attributes(), shape)


def _window(a: dict[str, Any]) -> dict[str, Any]:
    kernel = pair(a["kernel_size"], op="ONNX", name="kernel_size", least=1)
    stride = kernel if a["stride"] is None else pair(a["stride"], op="ONNX", name="stride", least=1)
    padding = pair(a["padding"], op="ONNX", name="padding", least=0)
    dilation = pair(a["dilation"], op="ONNX", name="dilation", least=1)
    return {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *padding], "dilations": dilation}


def _convolution(a: dict[str, Any], shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Conv", {**_window(a), "group": a["groups"]}


def _max_pool(a: dict[str, Any], shape: Shape) -> tuple[str, dict[str, Any]]:
    return "MaxPool", {**_window(a), "ceil_mode": int(a["ceil_mode"])}


def _means(a: dict[str, Any], shape: Shape) -> tuple[str, dict[str, Any]]:
    grid = pair(a["output_size"], op="ONNX", name="output_size", least=1)
    if grid == shape[1:]:
        return "Identity", {}
    if grid == (1, 1):
        return "GlobalAveragePool", {}
    if shape[1] % grid[0] or shape[2] % grid[1]:
        raise ValueError(f"means over {grid} of {shape[1:]} are no plain average pooling; take another picture size")
    window = (shape[1] // grid[0], shape[2] // grid[1])
    return "AveragePool", {"kernel_shape": window, "strides": window}


_OPERATORS: dict[str, Callable[[dict[str, Any], Shape], tuple[str, dict[str, Any]]]] = {
    "conv2d": _convolution,
    "linear": lambda a, shape: ("Gemm", {"transB": 1}),
    "relu": lambda a, shape: ("Relu", {}),
    "max_pool2d": _max_pool,
    "adaptive_avg_pool2d": _means,
    "flatten": lambda a, shape: ("Flatten", {"axis": 1}),
    "concat": lambda a, shape: ("Concat", {"axis": 1}),
    "dropout": lambda a, shape: ("Identity", {}),
}
