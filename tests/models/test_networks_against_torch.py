"""Every classic network against PyTorch on drawn weights: values, gradients, and running statistics in training."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import models, optim, transfer
from minitl.nn import init

EXACT = 1e-9  # max|difference| / max|reference| in float64
ROUNDED = 1e-4  # the same in float32


def drawn(net):
    """Arrays that start at zero or one would hide a mistake about them."""
    for name, array in net.named_arrays().items():
        rng = init.generator(1, name)
        if name.endswith(("bias", "running_mean")):
            array.assign(rng.normal(0, 0.1, array.shape))
        elif array.ndim == 1:
            array.assign(rng.uniform(0.5, 2, array.shape))
    return net


def picture(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32).astype(dtype)


def apart(ours, theirs, scale=None):
    """max|difference| / max|scale|, by default that of PyTorch's numbers."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs if scale is None else scale.numpy()).max())


def compare(net, theirs, arrays, x, training=False):
    """The largest difference of the value, of any parameter's gradient, and of any running statistic."""
    import torch

    y, reference = net(x, training=training), theirs(x, training=training)
    weights = picture(y.shape, x.dtype, seed=1)
    y.backward(weights)
    reference.backward(torch.tensor(weights))
    value = apart(y.data, reference)
    gradient = 0.0
    for name, p in net.named_parameters().items():
        # The mean of the batch takes the bias below it away again, so its gradient is rounding alone
        cancelled = training and name.startswith("conv") and name.endswith(".bias")
        scale = arrays[name.replace(".bias", ".weight")].grad if cancelled else None
        if not p.frozen:
            gradient = max(gradient, apart(p.grad, arrays[name].grad, scale))
    statistics = max((apart(b.data, arrays[name]) for name, b in net.named_buffers().items()), default=0.0)
    print(f"{net.name}: value {value:.1e}, gradient {gradient:.1e}, statistics {statistics:.1e}")
    return value, gradient, statistics


@pytest.mark.parametrize(
    ("name", "classes", "size"),
    [
        ("lenet5", 10, (3, 1, 32, 32)),
        ("alexnet_caffe", None, (2, 3, 103, 87)),  # where pooling that rounds down would give another shape
        ("caffenet", None, (2, 3, 103, 87)),
        ("squeezenet1_0", 7, (2, 3, 59, 46)),
        ("squeezenet1_0_caffe", 7, (2, 3, 59, 46)),
        ("squeezenet1_1", 7, (2, 3, 59, 46)),
        ("squeezenet1_1_caffe", 7, (2, 3, 59, 46)),
        ("resnet18", 7, (2, 3, 54, 45)),
        ("resnet34", 7, (2, 3, 54, 45)),
        ("resnet50", 7, (2, 3, 54, 45)),
        *[(f"vgg{n}{bn}", None, (2, 3, 32, 40)) for n in (11, 13, 16, 19) for bn in ("", "_bn")],
    ],
)
def test_values_and_gradients_in_float64(name, classes, size, twin):
    net = drawn(models.build(name, num_classes=classes)).astype("float64")
    assert max(compare(net, *twin(net, classes), picture(size, "float64"))) <= EXACT


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("lenet5", (3, 1, 32, 32)),
        ("alexnet_caffe", (1, 3, 227, 227)),
        ("squeezenet1_0", (2, 3, 59, 46)),
        ("squeezenet1_1", (2, 3, 59, 46)),
        ("resnet18", (2, 3, 64, 64)),
    ],
)
def test_values_and_gradients_in_float32(name, size, twin):
    net = drawn(models.build(name, num_classes=5))
    if name == "alexnet_caffe":  # 38 of its 55 million
        net.freeze("fc6")
    assert max(compare(net, *twin(net, 5), picture(size, "float32"))) <= ROUNDED


def test_the_classifier_of_every_vgg(twin):
    """All have the same on pool5, so that one of these large networks is enough."""

    def above(name):
        graph = models.build(name, num_classes=3, seed=None).graph
        return [(node.name, node.layer, node.inputs) for node in graph][graph.names.index("pool5") + 1 :]

    assert all(above(name) == above("vgg11") for name in models.ARCHITECTURES if name.startswith("vgg"))
    net = models.vgg11(3).freeze()
    x = picture((1, 3, 50, 67), "float32")
    theirs, _ = twin(net, 3)
    assert apart(net(x).data, theirs(x)) <= ROUNDED


@pytest.mark.parametrize(
    ("name", "classes", "size"),
    [
        ("resnet18", 3, (3, 3, 64, 64)),
        ("resnet50", 3, (3, 3, 64, 64)),
        ("vgg16_bn", None, (3, 3, 32, 32)),
    ],
)
def test_two_steps_of_training_move_the_running_statistics_as_pytorchs(name, classes, size, twin):
    net = drawn(models.build(name, num_classes=classes)).astype("float64")
    theirs, arrays = twin(net, classes)
    before = {name: b.numpy() for name, b in net.named_buffers().items()}
    for step in range(2):
        found = compare(net, theirs, arrays, picture(size, "float64", seed=step), training=True)
        assert max(found) <= EXACT, (step, found)
        for name, p in net.named_parameters().items():
            p.assign(p.data - 1e-4 * p.grad)
            arrays[name].data -= 1e-4 * arrays[name].grad
            p.grad = arrays[name].grad = None
    assert not any(np.array_equal(b.data, before[name]) for name, b in net.named_buffers().items())


@pytest.mark.parametrize("frozen", [True, False])
def test_fine_tuning_all_of_vgg16_moves_the_statistics_unless_they_are_frozen(frozen):
    net = transfer.replace_head(drawn(models.vgg16_bn(None)), ["ant", "bee"])
    if frozen:
        net.freeze("bn*")
    statistics = {name: b.numpy() for name, b in net.named_buffers().items()}
    scales = {name: p.numpy() for name, p in net.named_parameters().items() if name.startswith("bn")}
    before = {name: p.numpy() for name, p in net.named_parameters().items() if name.startswith("conv")}
    sgd = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3)
    for step in range(2):
        sgd.zero_grad()
        y = net(picture((2, 3, 32, 32), "float32", seed=step), training=True)
        F.cross_entropy(y, np.array([0, 1])).backward()
        sgd.step()
    for name, array in (statistics | scales).items():
        assert np.array_equal(net[name].data, array) == frozen, name
    assert net["head.bias"].data.any()
    assert not any(np.array_equal(net[name].data, array) for name, array in before.items())
