"""What the tests of optimizers share: a few parameters, gradients for them, and an optimizer of every kind."""

import numpy as np
import pytest

from minitl.optim import OPTIMIZERS
from minitl.tensor import Parameter

SHAPES = {"conv.weight": (3, 2, 3, 3), "conv.bias": (3,), "fc.weight": (4, 7), "scale": ()}

# Settings under which every optimizer keeps all that it can keep.
SETTINGS = {
    "sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "adam": {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01, "amsgrad": True},
    "adamw": {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01, "amsgrad": True},
    "rmsprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.01, "momentum": 0.9, "centered": True},
}


@pytest.fixture(scope="session")
def parameters():
    """Parameters of drawn numbers: (rng, dtype) -> list."""

    def draw(rng, dtype=np.float32):
        return [Parameter(np.asarray(rng.standard_normal(shape), dtype), name) for name, shape in SHAPES.items()]

    return draw


@pytest.fixture(scope="session")
def give_gradients():
    """Gives every parameter a drawn gradient: (rng, parameters)."""

    def give(rng, found):
        for p in found:
            p.grad = np.asarray(rng.standard_normal(p.shape), p.dtype)

    return give


@pytest.fixture(params=list(OPTIMIZERS), scope="session")
def make(request):
    """An optimizer of each kind in turn, with all that it can keep: (parameters, **other settings)."""

    def of(parameters, **other):
        return OPTIMIZERS[request.param](parameters, **SETTINGS[request.param] | other)

    return of
