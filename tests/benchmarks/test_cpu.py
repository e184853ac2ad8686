"""benchmarks/cpu.py: its logic and its peers at small sizes, never a figure."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minitl as tl
from minitl import nn
from minitl.cli import clock
from minitl.nn.graph import INPUT

if not os.environ.get("MINITL_TEST_BENCHMARKS"):
    reason = "loads several runtimes into one process: MINITL_TEST_BENCHMARKS=1 pytest tests/benchmarks"
    pytest.skip(reason, allow_module_level=True)

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def part(monkeypatch):
    """A module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def setting(part):
    """One that is soon over."""
    return part("on_cpu.setting").Setting(threads=1, rounds=2, seconds=0.0)


@pytest.fixture
def net():
    """Every layer that the peers know, small: branches, two groups, strides, padding, ceil_mode."""
    nodes = [
        nn.Node("conv1", nn.Conv2d(3, 8, 5, 2, 2), (INPUT,)),
        nn.Node("relu1", nn.ReLU(), ("conv1",)),
        nn.Node("pool1", nn.MaxPool2d(3, 2, ceil_mode=True), ("relu1",)),
        nn.Node("left", nn.Conv2d(8, 6, 1), ("pool1",)),
        nn.Node("right", nn.Conv2d(8, 6, 3, padding=1, groups=2), ("pool1",)),
        nn.Node("relu2", nn.ReLU(), ("right",)),
        nn.Node("joined", nn.Concat(), ("left", "relu2")),
        nn.Node("pool2", nn.AdaptiveAvgPool2d(2), ("joined",)),
        nn.Node("flatten", nn.Flatten(), ("pool2",)),
        nn.Node("drop", nn.Dropout(0.5), ("flatten",)),
        nn.Node("fc", nn.Linear(48, 5), ("drop",)),
    ]
    return tl.Network(nodes, name="small", input_shape=(3, 18, 18), seed=0)


def peers(part):
    """Those installed here, uncompiled: compiling takes longer than tests may."""
    return frozenset(part("cpu").installed() - {"compiled"})


def test_onnx_runtime_and_openvino_compute_our_network(part, net):
    pytest.importorskip("onnx", reason="writes an ONNX model; onnx is not installed")
    runtimes, networks = part("on_cpu.runtimes"), part("on_cpu.networks")
    x = networks.pictures(net, 4)
    with tl.no_grad():
        ours = net(x).numpy()
    found = runtimes.candidates(net, x, 2, runtimes.installed())
    if not found:
        pytest.skip("neither ONNX Runtime nor OpenVINO is installed")
    for name, run in found.items():
        assert part("on_cpu.agree").of_scores(run(), ours) < part("on_cpu.agree").SCORES, name
    assert ("OpenVINO streams" in found) == ("openvino" in runtimes.installed())


def test_a_model_in_a_file_is_the_same(part, net, tmp_path):
    pytest.importorskip("onnxruntime", reason="reads an ONNX model by ONNX Runtime, which is not installed")
    pytest.importorskip("onnx", reason="writes an ONNX model; onnx is not installed")
    runtimes, graph, networks = part("on_cpu.runtimes"), part("on_cpu.onnx_graph"), part("on_cpu.networks")
    x = networks.pictures(net, 2)
    graph.write(net, 2, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx.data").is_file()
    whole = runtimes.onnx_runtime(graph.model(net, 2).SerializeToString(), x, 1)()
    assert np.array_equal(runtimes.onnx_runtime(tmp_path / "net.onnx", x, 1)(), whole)


def test_means_that_are_no_plain_pooling_are_refused(part):
    pytest.importorskip("onnx", reason="writes an ONNX model; onnx is not installed")
    uneven = nn.Sequential(nn.AdaptiveAvgPool2d(3), input_shape=(2, 7, 7))
    with pytest.raises(ValueError, match=r"means over \(3, 3\) of \(7, 7\)"):
        part("on_cpu.onnx_graph").model(uneven, 1)
    unknown = nn.Sequential(nn.Sigmoid(), input_shape=(2, 7, 7))
    with pytest.raises(ValueError, match="sigmoid has no ONNX form"):
        part("on_cpu.onnx_graph").model(unknown, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_pytorch_gives_our_scores_our_gradients_and_our_steps(part, net):
    pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    pytorch, ours, networks, agree = (part(f"on_cpu.{n}") for n in ("pytorch", "ours", "networks", "agree"))
    net = networks.without_dropout(net)
    x, labels = networks.pictures(net, 4), networks.labels(4, 5)
    for name, run in pytorch.inference(net, x, compiled=False).items():
        assert agree.of_scores(run(), ours.inference(net, x)()) < agree.SCORES, name
    assert pytorch.COMPILED in pytorch.inference(net, x, compiled=True)  # is compiled when it is called
    grad = np.random.default_rng(0).standard_normal((4, 5), dtype=np.float32)
    expected = ours.passes(net, x, grad)()
    for name, run in pytorch.passes(net, x, grad).items():
        assert agree.of_sets(run(), expected) < agree.GRADIENTS, name
    steps = {**pytorch.steps(net, x, labels, compiled=False), "minitl": ours.Step(net.copy(), x, labels)}
    losses = {name: [step() for _ in range(3)] for name, step in steps.items()}
    for found in losses.values():
        assert np.allclose(found, losses["minitl"], rtol=1e-4)
    assert losses["minitl"][2] < losses["minitl"][0]


def test_a_step_goes_on_from_the_value_of_a_layer_and_leaves_what_is_frozen(part, net):
    pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    sections = part("on_cpu.sections")
    setting = part("on_cpu.setting").Setting(1, 2, 0.0, frozenset({"pytorch"}))
    net = part("on_cpu.networks").without_dropout(net)
    net.freeze(upto="pool1")
    rows = sections._steps(net, 3, 5, {"task": "kept"}, setting, net.cut())
    assert not setting.notes
    assert {row["candidate"] for row in rows} == {"minitl", "PyTorch", "PyTorch channels-last"}
    assert ["ratio" in row for row in rows] == [row["candidate"] == "minitl" for row in rows]


def test_every_layer_is_a_part_once(part):
    networks = part("on_cpu.networks")
    found = list(networks.parts(tl.models.build("squeezenet1_0", seed=None)))
    names = [name for each in found for name in each.names]
    timed = [n.name for n in tl.models.build("squeezenet1_0", seed=None).graph if n.op in networks.TIMED]
    assert sorted(names) == sorted(timed)
    assert len(found) < len(names)  # fire2 and fire3 share shapes
    ops = [tuple(node.op for node in each.net.graph) for each in found]
    assert ("conv2d", "relu") in ops
    assert ("max_pool2d",) in ops


def test_a_part_computes_what_its_layer_does_in_the_network(part, net):
    networks = part("on_cpu.networks")
    x = networks.pictures(net, 2)
    for each in networks.parts(net):
        name = each.names[0]
        given = x if net.graph[name].inputs == (INPUT,) else net.run(x, upto=net.graph[name].inputs[0]).numpy()
        followed = [n.name for n in net.graph if name in n.inputs and n.op == "relu"]
        with tl.no_grad():
            whole = net.run(x, upto=followed[0] if followed else name).numpy()
            assert np.allclose(each.net(given).numpy(), whole, rtol=1e-5, atol=1e-6), name


def test_what_disagrees_is_not_timed(part, setting):
    rows = part("on_cpu.rows")
    right, wrong = np.ones(3, np.float32), np.array([1, 1, 1.01], np.float32)
    nan = np.full(3, np.nan, np.float32)

    def broken():
        raise RuntimeError("no such\nthing")

    found = {"PyTorch": lambda: right, "A": lambda: wrong, "B": lambda: nan, "C": broken, "minitl": lambda: right}
    made = rows.compared({"what": "a test"}, found, rows.SCORES, setting)
    assert [row["candidate"] for row in made] == ["PyTorch", "minitl"]
    assert not setting.wrong
    assert [note.split(": ")[1].split()[0] for note in setting.notes] == ["A", "B", "C"]
    assert "C: RuntimeError: no such thing" in setting.notes[2]
    made = rows.compared({"what": "a test"}, {"PyTorch": lambda: right, "minitl": lambda: wrong}, rows.SCORES, setting)
    assert [row["candidate"] for row in made] == ["PyTorch"]
    assert len(setting.wrong) == 1


def test_a_result_that_is_written_over_is_compared_as_it_was(part, setting):
    rows = part("on_cpu.rows")
    shared = np.zeros(2, np.float32)

    def first():
        shared[:] = 1
        return shared

    def second():
        shared[:] = 2
        return shared

    rows.compared({"what": "a test"}, {"PyTorch": first, "minitl": second}, rows.SCORES, setting)
    assert setting.wrong


def test_sets_of_arrays_must_have_the_same_names(part):
    agree = part("on_cpu.agree")
    a = {"w": np.ones(2), "b": np.zeros(1)}
    assert agree.of_sets(a, a) == 0
    assert agree.of_sets({**a, "w": np.array([1.0, 1.1])}, a) > agree.GRADIENTS
    with pytest.raises(ValueError, match="more or less"):
        agree.of_sets({"w": a["w"]}, a)


def test_the_whole_command_writes_figures_tables_and_plots(part, tmp_path, monkeypatch, capsys):
    """All sections on a small network in the place of the large ones, beside what is installed."""
    cpu, networks, sections = part("cpu"), part("on_cpu.networks"), part("on_cpu.sections")
    table, plots = part("table"), part("on_cpu.plots")

    def build(name, num_classes=1000, **options):
        layers = [nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [] if num_classes is None else [nn.Flatten(), nn.Linear(36, num_classes)]
        return nn.Sequential(*layers, name=name, input_shape=(3, 14, 14), seed=0)

    monkeypatch.setattr(tl.models, "build", build)
    monkeypatch.setattr(sections, "FROZEN_UPTO", {"alexnet": "conv1"})
    monkeypatch.setattr(cpu, "SIDES", (14, 18))
    peers_here = peers(part)
    monkeypatch.setattr(cpu, "installed", lambda: set(peers_here))
    monkeypatch.setattr(cpu, "environment", lambda threads: {})
    monkeypatch.setattr(clock, "SAMPLE", 0.0)
    monkeypatch.setattr(clock, "rest", lambda: 0.0)
    networks.whole.cache_clear()
    file = tmp_path / "out" / "a.json"
    words = "--sections inference training transfer layers sizes --batch 1 2 --threads 1 --rounds 2 --seconds 0"
    monkeypatch.setattr(sys, "argv", ["cpu.py", "alexnet", *words.split(), "--json", str(file)])
    before = tl.get_num_threads()
    try:
        assert cpu.main() == 0, capsys.readouterr().out
    finally:
        tl.set_num_threads(before)
        networks.whole.cache_clear()
        networks.features.cache_clear()
    result = json.loads(file.read_text())
    assert {row["section"] for row in result["rows"]} == {"inference", "training", "transfer", "layers", "sizes"}
    assert all(row["threads"] == 1 and row["samples"] for row in result["rows"])
    assert {row["candidate"] for row in result["rows"]} >= {"minitl"}
    assert result["ceilings"]["copy"] > 0
    shown = capsys.readouterr().out
    for said in ("Inference, ms a picture", "Layers, ms a batch", "Transfer step, ms", "Measured peak", str(file)):
        assert said in shown
    if peers_here:
        for name in ("ratios", "scaling", "layers"):
            assert file.with_name(f"a-{name}.png").read_bytes().startswith(b"\x89PNG")
        assert plots.ratios({**result, "rows": []}) is None
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["table.py", str(file), "--into", str(page)])
    assert table.main() == 0
    text = page.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| alexnet | 1 |" in text
    assert "Layers" not in text


def test_what_there_is_no_time_for_is_told(part, capsys):
    setting = part("on_cpu.setting").Setting(1, minutes=0.0)
    assert setting.late("layers of vgg16")
    assert setting.notes == ["no time was left for layers of vgg16"]
    assert not part("on_cpu.setting").Setting(1).late("anything")


def test_a_page_without_marks_is_left_alone(part, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="needs one line"):
        part("table").inserted(page.read_text(), "tables")


def test_memory_is_measured_in_a_process_of_its_own(part, setting, tmp_path):
    apart, networks = part("on_cpu.apart"), part("on_cpu.networks")
    from minitl.weights import schema

    layers = nn.Flatten(), nn.Linear(3 * 64 * 64, 512), nn.Linear(512, 1000)  # 27 MB of numbers
    net = nn.Sequential(*layers, input_shape=(3, 64, 64))
    schema.write(tmp_path / "net.h5", networks.rebuilt(net, list(net.graph)).to_file(), compress=False)
    job = {"weights": str(tmp_path / "net.h5"), "model": "", "shape": net.input_shape, "batch": 2, "threads": 1}
    job |= {"candidate": "minitl"}
    found = {task: apart._memory({**job, "task": task}, setting) for task in ("inference", "training")}
    assert not setting.notes
    numbers = 4 * sum(p.size for p in net.parameters())
    assert found["inference"]["peak"] > 0.9 * numbers
    assert found["training"]["running"] > 1.8 * found["inference"]["running"]  # gradients and velocities
    assert apart._memory({**job, "task": "inference", "weights": "none"}, setting) is None
    assert "memory of minitl, inference: ended with 1" in setting.notes[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet"], "no network 'lenet'"),
        (["--threads", "0"], "--threads must be from 1 to"),
        (["--batch", "0"], "--batch and --rounds must be at least 1"),
        (["--sections", "all"], "invalid choice"),
    ],
)
def test_what_is_misused_is_told_at_once(words, said):
    done = subprocess.run([sys.executable, FOLDER / "cpu.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_others_are_counted_apart_from_this_process(part):
    busy = part("on_cpu.disturbance").Busy()
    every, own = busy._before
    assert own > 0
    assert not busy.others() < 0  # not a number where the system does not say
    assert every != every or every > own
