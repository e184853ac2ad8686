"""Every layer's value and every parameter's gradient against PyTorch, on drawn weights."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import models
from minitl.nn import init

LAYER = 1e-5  # max|difference| / max|reference| of a layer's value in float32
GRADIENT = {"float32": 1e-3, "float64": 1e-8}  # relative L2 of a whole network's gradient


def picture(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def with_biases(net):
    """Biases start at zero, where a mistake about them would not show."""
    for name, p in net.named_parameters().items():
        if name.endswith("bias"):
            p.assign(0.1 * init.generator(1, name).standard_normal(p.shape))
    return net


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (lambda: models.alexnet(20), (2, 3, 95, 70)),
        (lambda: models.vgg16(None), (1, 3, 40, 33)),
        (lambda: models.squeezenet1_0_caffe(30), (2, 3, 70, 63)),
    ],
    ids=["alexnet", "vgg16", "squeezenet"],
)
def test_every_layer_has_the_value_that_pytorch_computes(net, size, layer_errors):
    errors = layer_errors(with_biases(net()), picture(*size))
    assert all(error <= LAYER for error in errors.values()), errors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_a_whole_alexnet_is_pytorchs(dtype, in_torch):
    import torch

    net = with_biases(models.alexnet(10)).astype(dtype)
    x, labels = picture(2, 3, 95, 95).astype(dtype), np.array([3, 8])
    F.cross_entropy(net(x), labels).backward()
    theirs = {name: torch.tensor(p.numpy(), requires_grad=True) for name, p in net.named_parameters().items()}
    scores = in_torch("alexnet", theirs, torch.tensor(x))["fc8"]
    torch.nn.functional.cross_entropy(scores, torch.tensor(labels)).backward()
    wrong = total = 0.0
    for name, p in net.named_parameters().items():
        reference = theirs[name].grad.numpy()
        wrong += np.sum(np.square(p.grad - reference), dtype=np.float64)
        total += np.sum(np.square(reference), dtype=np.float64)
    assert total > 0
    print(f"relative L2 {np.sqrt(wrong / total):.1e}")
    assert np.sqrt(wrong / total) <= GRADIENT[dtype]
