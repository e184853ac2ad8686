"""AlexNet's and VGG-16's convolutions in torch.nn, with the numbers of a minitl weight file."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import torch
from torch import nn

Row = tuple[int, int, int, int] | tuple[int, int]  # kernel size, stride, padding, filters; or a pool's size and stride
POOL = (2, 2)
TABLES: dict[str, list[Row]] = {
    "alexnet": [(11, 4, 2, 64), (3, 2), (5, 1, 2, 192), (3, 2), *[(3, 1, 1, n) for n in (384, 256, 256)], (3, 2)],
    "vgg16": [
        row
        for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
        for row in (*[(3, 1, 1, filters)] * count, POOL)
    ],
}


def backbone(weights: Path) -> tuple[nn.Sequential, int]:
    """(the frozen convolutions and each map's mean, how many maps): minitl's "auto" head is a dense layer on them."""
    with h5py.File(weights) as file:
        name = json.loads(file.attrs["network"])["name"]
        numbers = iter([(layer["weight"][()], layer["bias"][()]) for layer in file["layers"].values()])
    if name not in TABLES:
        raise SystemExit(f"{weights}: holds {name}; this benchmark knows {', '.join(TABLES)}")
    layers: list[nn.Module] = []
    channels = 3
    for row in TABLES[name]:
        if len(row) == 2:
            layers.append(nn.MaxPool2d(*row))
            continue
        size, stride, padding, filters = row
        convolution = nn.Conv2d(channels, filters, size, stride, padding)
        weight, bias = next(numbers)
        convolution.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        layers += [convolution, nn.ReLU(inplace=True)]
        channels = filters
    made = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return made.requires_grad_(False), channels
