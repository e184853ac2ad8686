"""Inference by ONNX Runtime and OpenVINO: the same weights and pictures, float32, so many threads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from minitl import Network

Run = Callable[[], np.ndarray]


def candidates(
    net: Network, x: np.ndarray, threads: int, peers: Collection[str], streams: bool = True
) -> dict[str, Run]:
    """By name, functions that give the scores of x (N, C, H, W), of "onnxruntime" and "openvino" as far as wanted."""
    if not {"onnxruntime", "openvino"} & set(peers):
        return {}
    from .onnx_graph import model

    made: dict[str, Run] = {}
    source = model(net, len(x)).SerializeToString()
    if "onnxruntime" in peers:
        made["ONNX Runtime"] = onnx_runtime(source, x, threads)
    if "openvino" in peers:
        made["OpenVINO"] = openvino(source, x, threads)
        if streams and threads > 1 and len(x) % threads == 0:
            del source
            made["OpenVINO streams"] = openvino_streams(model(net, len(x) // threads).SerializeToString(), x, threads)
    return made


def installed() -> set[str]:
    """Which of them can be compared with; both read a graph that the package onnx writes."""
    if importlib.util.find_spec("onnx") is None:
        return set()
    return {name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)}


def onnx_runtime(source: bytes | Path, x: np.ndarray, threads: int) -> Run:
    """ONNX Runtime with every optimisation of the graph; its arena and its spinning threads as they come."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = options.enable_mem_pattern = True
    options.log_severity_level = 3
    given = source if isinstance(source, bytes) else str(source)
    session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": x})[0]


def _compiled(source: bytes | Path, threads: int, hint: str, **more: Any) -> Any:
    """A model compiled by OpenVINO in float32, said so, for where the processor has bfloat16 it may choose that."""
    import openvino

    core = openvino.Core()
    read = core.read_model(source if isinstance(source, bytes) else str(source))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "EXECUTION_MODE_HINT": "ACCURACY",
        "PERFORMANCE_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
        **more,
    }
    return core.compile_model(read, "CPU", settings)


def openvino(source: bytes | Path, x: np.ndarray, threads: int) -> Run:
    """OpenVINO with the latency hint: all threads work on the one batch."""
    compiled = _compiled(source, threads, "LATENCY")
    request = compiled.create_infer_request()
    request.set_input_tensor(_tensor(x))

    def run() -> np.ndarray:
        request.infer()
        return request.get_output_tensor().data

    return run


def openvino_streams(source: bytes | Path, x: np.ndarray, threads: int) -> Run:
    """OpenVINO with the throughput hint: as many streams as threads, each with a part of the batch at the same time."""
    compiled = _compiled(source, threads, "THROUGHPUT", NUM_STREAMS=threads)
    parts = np.split(x, threads)
    requests = []
    for part in parts:
        request = compiled.create_infer_request()
        request.set_input_tensor(_tensor(np.ascontiguousarray(part)))
        requests.append(request)

    def run() -> np.ndarray:
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()
        return np.concatenate([request.get_output_tensor().data for request in requests])

    return run


def _tensor(x: np.ndarray) -> Any:
    import openvino

    return openvino.Tensor(x)
