"""What is compared: whole networks, single layers, steps of training and of transfer, other picture sizes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import minitl as tl
from minitl.transfer import replace_head

from . import agree, networks, ours, runtimes
from .rows import GRADIENTS, SCORES, compared, timed
from .setting import Row, Setting, describe_error

# Up to which layer a fine-tuned network is frozen: about half of its convolutions.
FROZEN_UPTO = {"vgg16": "pool4", "alexnet": "pool2", "squeezenet1_0": "pool8"}


def inference(name: str, batches: Iterable[int], setting: Setting) -> list[Row]:
    """A whole network at these batch sizes."""
    rows: list[Row] = []
    for batch in batches:
        setting.say(f"{name}, inference, batch {batch}")
        rows += _inference(networks.whole(name), {"section": "inference", "network": name}, batch, setting)
    return rows


def sizes(name: str, sides: Iterable[int], setting: Setting, batch: int = 2) -> list[Row]:
    """What is below the classifier, on square pictures of these sides."""
    rows: list[Row] = []
    for side in sides:
        setting.say(f"{name}, pictures of {side} x {side}")
        facts = {"section": "sizes", "network": name, "size": side}
        rows += _inference(networks.features(name, side), facts, batch, setting)
    return rows


def layers(name: str, batch: int, setting: Setting, backward: bool) -> list[Row]:
    """Every distinct layer alone, with its ReLU; forwards and, if wanted, forwards and backwards."""
    rows: list[Row] = []
    setting.say(f"{name}, layer by layer, batch {batch}")
    for part in networks.parts(networks.whole(name)):
        facts = {"section": "layers", "network": name, "layer": part.label, "shape": part.shape}
        rows += _inference(part.net, facts, batch, setting, layer=True)
        if backward and "pytorch" in setting.peers:
            rows += _guarded(f"{name} {part.label}", lambda: _passes(part.net, facts, batch, setting), setting)  # noqa: B023
    return rows


def training(name: str, batch: int, setting: Setting) -> list[Row]:
    """A step in which every layer learns."""
    setting.say(f"{name}, training step, batch {batch}")
    net = networks.without_dropout(networks.whole(name))
    facts = {"section": "training", "network": name, "task": "all layers", "batch": batch}
    return _guarded(f"training of {name}", lambda: _steps(net, batch, networks.CLASSES, facts, setting), setting)


def transfer(name: str, batch: int, setting: Setting) -> list[Row]:
    """A step for a new task: the backbone frozen, or its lower half; what that makes of pictures kept or run again."""
    rows: list[Row] = []
    for task in ("frozen", "fine-tuned"):
        setting.say(f"{name}, transfer, {task}, batch {batch}")
        net = replace_head(tl.models.build(name, num_classes=None), ["ant", "bee"])
        head = net["head.weight"]  # begins at zero, so that at first no gradient would reach the layers below
        head.assign(np.random.default_rng(3).standard_normal(head.shape, dtype=np.float32) * np.float32(0.05))
        if task == "frozen":
            net.freeze_backbone()
        else:
            net.freeze(upto=FROZEN_UPTO[name])
        for kept in (False, True):
            facts = {
                "section": "transfer",
                "network": name,
                "task": f"{task}, {'kept' if kept else 'run again'}",
                "batch": batch,
            }
            what = f"transfer of {name}, {facts['task']}"
            after = net.cut() if kept else "input"
            rows += _guarded(what, lambda: _steps(net, batch, 2, facts, setting, after), setting)  # noqa: B023
    return rows


def _guarded(what: str, part: Callable[[], list[Row]], setting: Setting) -> list[Row]:
    """The rows of a part; of one that fails none, and a note."""
    try:
        return part()
    except Exception as error:  # the others go on
        setting.fail(f"{what}: {describe_error(error)}")
        return []
    finally:
        gc.collect()


def _inference(net: tl.Network, facts: Row, batch: int, setting: Setting, layer: bool = False) -> list[Row]:
    def rows() -> list[Row]:
        x = networks.pictures(net, batch)
        candidates = _peers(net, x, setting, compiled=facts["section"] == "inference", streams=not layer)
        # A layer inside of a network is given what the layer below wrote, which is channels-last.
        candidates["minitl"] = ours.inference(net, _channels_last(x) if layer else x)
        every = {**facts, "task": "forward" if layer else "inference", "batch": batch}
        return compared(every, candidates, SCORES, setting, networks.work(net, batch))

    return _guarded(f"{' '.join(map(str, facts.values()))}, batch {batch}", rows, setting)


def _peers(
    net: tl.Network, x: np.ndarray, setting: Setting, compiled: bool, streams: bool
) -> dict[str, Callable[[], Any]]:
    """Whoever else can run this network; of those that cannot, a note."""

    def by_pytorch() -> dict[str, Callable[[], Any]]:
        if "pytorch" not in setting.peers:
            return {}
        from . import pytorch

        return dict(pytorch.inference(net, x, compiled and "compiled" in setting.peers))

    def by_runtimes() -> dict[str, Callable[[], Any]]:
        return dict(runtimes.candidates(net, x, setting.threads, setting.peers, streams))

    made: dict[str, Callable[[], Any]] = {}
    for peers in (by_pytorch, by_runtimes):
        try:
            made |= peers()
        except Exception as error:  # the others go on
            setting.note(f"{net.name}: {describe_error(error)}")
    return made


def _channels_last(x: np.ndarray) -> np.ndarray:
    if x.ndim != 4:
        return x
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _passes(net: tl.Network, facts: Row, batch: int, setting: Setting) -> list[Row]:
    from . import pytorch

    x = networks.pictures(net, batch)
    shape = net.graph.shapes(net.input_shape)[net.graph.output]
    grad = np.random.default_rng(2).standard_normal((batch, *shape), dtype=np.float32)
    candidates: dict[str, Callable[[], Any]] = dict(pytorch.passes(net, x, grad))
    candidates["minitl"] = ours.passes(net, _channels_last(x), _channels_last(grad))
    every = {**facts, "task": "forward and backward", "batch": batch}
    return compared(every, candidates, GRADIENTS, setting)


def _steps(net: tl.Network, batch: int, classes: int, facts: Row, setting: Setting, after: str = "input") -> list[Row]:
    """Steps from the same numbers on the same batch; checked by what the first one changes."""
    x, truth = networks.pictures(net, batch), networks.labels(batch, classes)
    if after != "input":
        with tl.no_grad():
            x = np.ascontiguousarray(net.run(x, upto=after).data)
    candidates: dict[str, Any] = {}
    if "pytorch" in setting.peers:
        from . import pytorch

        candidates |= pytorch.steps(net, x, truth, "compiled" in setting.peers and after == "input", after)
    candidates["minitl"] = ours.Step(net.copy(), x, truth, after)

    def changed(step: Any) -> Callable[[], dict[str, np.ndarray]]:
        def run() -> dict[str, np.ndarray]:
            before = step.numbers()
            step()
            return {name: now - before[name] for name, now in step.numbers().items()}

        return run

    what = " ".join(map(str, facts.values()))
    first = {name: changed(step) for name, step in candidates.items()}
    difference = agree.checked(what, first, agree.of_sets, agree.GRADIENTS, setting, lambda found: found)
    rows = timed(facts, {name: candidates[name] for name in difference}, difference, setting)
    for name in difference:
        if not np.isfinite(candidates[name]()):
            setting.fail(f"{what}: {name}: the loss is no number any more: what was timed is not ordinary work")
    return rows
