"""What kernels make of weights and keep: it follows them, and goes along with nobody."""

import copy
import pickle

import numpy as np

from minitl import functional as F
from minitl import nn, no_grad, optim, tensor


def test_what_kernels_made_of_weights_follows_them():
    """Of convolutions by Winograd's transforms, by tiles and channel by channel, and of dense layers."""
    layers = [nn.Conv2d(3, 16, 3, 2), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, groups=16), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(16 * 25, 5), input_shape=(3, 15, 15))
    x = np.random.default_rng(0).standard_normal((2, 3, 15, 15)).astype(np.float32)

    def alone():
        fresh = nn.Sequential(*layers, nn.Linear(16 * 25, 5), input_shape=(3, 15, 15))
        for name, p in fresh.named_parameters().items():
            p.assign(net[name].numpy())
        with no_grad():
            return fresh(x).data

    with no_grad():
        net(x)
    assert net["conv1.weight"].forms
    for optimizer in (optim.SGD(net.parameters(), 0.1), optim.Adam(net.parameters(), 0.1)):
        net(x).sum().backward()
        optimizer.step()
        with no_grad():
            assert np.array_equal(net(x).data, alone())
    net["conv2.weight"].assign(np.ones((16, 16, 3, 3)))
    with no_grad():
        assert np.array_equal(net(x).data, alone())


def test_one_weight_under_two_geometries():
    w = nn.Sequential(nn.Conv2d(16, 16, 3, bias=False), input_shape=(16, 9, 9))["conv1.weight"]
    x = tensor(np.random.default_rng(0).standard_normal((1, 16, 9, 9)).astype(np.float32))
    with no_grad():
        for options in (
            {},
            {"stride": 2},
            {"padding": 1},
            {"dilation": 2},
            {"padding": 1, "padding_mode": "replicate"},
        ):
            for _ in range(2):
                kept = F.conv2d(x, w, None, **options).data
                assert np.array_equal(kept, F.conv2d(x, w.data, None, **options).data)


def test_a_copy_takes_no_packed_filters_along():
    """They are large, and those of another machine may suit its registers alone."""
    net = nn.Sequential(nn.Conv2d(16, 16, 3), input_shape=(16, 9, 9))
    x = np.random.default_rng(0).standard_normal((1, 16, 9, 9)).astype(np.float32)
    with no_grad():
        value = net(x).data
        assert net["conv1.weight"].forms
        for other in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert other["conv1.weight"].forms == {}
            assert np.array_equal(other(x).data, value)
