"""A network small enough to run hundreds of times: a chain with a fork in the middle."""

import numpy as np
import pytest

from minitl.images import Preprocessing
from minitl.nn import (
    AdaptiveAvgPool2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Linear,
    MaxPool2d,
    Network,
    Node,
    ReLU,
)

SIZE = (3, 12, 12)


def forked(classes=("ant", "bee", "cat"), seed=0, **options):
    """input -> conv1 relu1 pool1 -> (left | right) -> join -> relu2 pool2 flatten drop -> fc."""
    nodes = [
        Node("conv1", Conv2d(3, 8, 3, padding=1), ("input",)),
        Node("relu1", ReLU(), ("conv1",)),
        Node("pool1", MaxPool2d(2), ("relu1",)),
        Node("left", Conv2d(8, 4, 1), ("pool1",)),
        Node("right", Conv2d(8, 6, 3, padding=1), ("pool1",)),
        Node("join", Concat(), ("left", "right")),
        Node("relu2", ReLU(), ("join",)),
        Node("pool2", AdaptiveAvgPool2d(2), ("relu2",)),
        Node("flatten", Flatten(), ("pool2",)),
        Node("drop", Dropout(0.5), ("flatten",)),
        Node("fc", Linear(40, 3), ("drop",)),
    ]
    preprocessing = Preprocessing(resize="exact", size=SIZE[1:])
    return Network(
        Graph(nodes),
        name="forked",
        input_shape=SIZE,
        classes=classes,
        preprocessing=preprocessing,
        seed=seed,
        **options,
    )


@pytest.fixture
def make():
    return forked


@pytest.fixture
def net():
    return forked()


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((5, *SIZE), dtype=np.float32)


@pytest.fixture
def pictures():
    return np.random.default_rng(1).integers(0, 256, (11, 20, 15, 3), dtype=np.uint8)
