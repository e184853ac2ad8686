"""A network on a device: the same numbers as on the CPU within the kernels' bounds, arrays that stay where they are."""

import numpy as np

from minitl import functional as F
from minitl import nn, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3, 8, 8)).astype(np.float32)
LABELS = [0, 2, 1, 2]


def network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 3), input_shape=(3, 8, 8), seed=1,
    )  # fmt: skip


def losses(net, steps=3, **options):
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X, training=True), LABELS)
        found.append(loss.item())
        loss.backward()
        optimizer.step()
    return found


def test_training_steps_on_the_device():
    here, there = network(), network().to("cuda")
    assert there.device == "cuda:0"
    assert {p.device for p in there.parameters()} == {"cuda:0"}
    on_cpu, on_gpu = losses(here), losses(there)
    assert np.allclose(on_cpu, on_gpu, rtol=1e-5)
    for mine, other in zip(here.parameters(), there.parameters(), strict=True):
        assert np.allclose(mine.numpy(), other.numpy(), rtol=1e-3, atol=1e-5)
    assert there.to("cpu").device == "cpu"
