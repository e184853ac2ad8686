"""The classic networks as PyTorch modules: the papers' topology under torchvision's names, without dropout.

Written by hand, layer by layer, so that nothing is shared with the tables of minitl.models.
"""

from collections import OrderedDict

import torch
from torch import nn


class LeNet5(nn.Module):
    """LeCun et al. (1998), figure 2, with plain averages and tanh."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv3, self.conv5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.fc6, self.fc7 = nn.Linear(120, 84), nn.Linear(84, classes)
        self.halve = nn.AvgPool2d(2, 2)

    def forward(self, x):
        x = self.halve(torch.tanh(self.conv1(x)))
        x = self.halve(torch.tanh(self.conv3(x)))
        x = torch.tanh(self.conv5(x)).flatten(1)
        return self.fc7(torch.tanh(self.fc6(x)))


def caffe_alexnet(norm_first, classes):
    """bvlc_alexnet (norm_first) and bvlc_reference_caffenet: groups, and Caffe's pooling, which rounds up."""

    def between(i):
        norm = (f"norm{i}", nn.LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0))
        pool = (f"pool{i}", nn.MaxPool2d(3, stride=2, ceil_mode=True))
        return [norm, pool] if norm_first else [pool, norm]

    layers = [
        ("conv1", nn.Conv2d(3, 96, 11, stride=4)),
        ("relu1", nn.ReLU()),
        *between(1),
        ("conv2", nn.Conv2d(96, 256, 5, padding=2, groups=2)),
        ("relu2", nn.ReLU()),
        *between(2),
        ("conv3", nn.Conv2d(256, 384, 3, padding=1)),
        ("relu3", nn.ReLU()),
        ("conv4", nn.Conv2d(384, 384, 3, padding=1, groups=2)),
        ("relu4", nn.ReLU()),
        ("conv5", nn.Conv2d(384, 256, 3, padding=1, groups=2)),
        ("relu5", nn.ReLU()),
        ("pool5", nn.MaxPool2d(3, stride=2, ceil_mode=True)),
    ]
    if classes is not None:
        layers += [
            ("flatten", nn.Flatten()),
            ("fc6", nn.Linear(256 * 6 * 6, 4096)),
            ("relu6", nn.ReLU()),
            ("fc7", nn.Linear(4096, 4096)),
            ("relu7", nn.ReLU()),
            ("fc8", nn.Linear(4096, classes)),
        ]
    return nn.Sequential(OrderedDict(layers))


VGG = {  # table 1 of the paper, column by column; "M" is a max-pooling
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


class Vgg(nn.Module):
    """torchvision's: `features`, means over 7 x 7, and `classifier`, whose dropouts do nothing here."""

    def __init__(self, column, batch_norm, classes):
        super().__init__()
        layers, channels = [], 3
        for entry in column.split():
            if entry == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(channels, int(entry), 3, padding=1))
            layers += [nn.BatchNorm2d(int(entry)), nn.ReLU()] if batch_norm else [nn.ReLU()]
            channels = int(entry)
        self.features = nn.Sequential(*layers)
        if classes is not None:
            dense = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.0)]
            dense += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4096, classes)]
            self.classifier = nn.Sequential(*dense)

    def forward(self, x):
        x = self.features(x)
        if not hasattr(self, "classifier"):
            return x
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 7).flatten(1))


class Fire(nn.Module):
    """Iandola et al. (2016), figure 1."""

    def __init__(self, channels, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], dim=1)


class SqueezeNet(nn.Module):
    """torchvision's names; `border` is Caffe's padding of the last convolution in version 1.0."""

    def __init__(self, version, classes, border=0):
        super().__init__()

        def pool():
            return nn.MaxPool2d(3, stride=2, ceil_mode=True)

        if version == "1.0":
            layers = [nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), pool()]
            layers += [Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128), pool()]
            layers += [Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), pool()]
            layers += [Fire(512, 64, 256)]
        else:
            layers = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool()]
            layers += [Fire(64, 16, 64), Fire(128, 16, 64), pool()]
            layers += [Fire(128, 32, 128), Fire(256, 32, 128), pool()]
            layers += [Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Conv2d(512, classes, 1, padding=border), nn.ReLU())

    def forward(self, x):
        return self.classifier(self.features(x)).mean(dim=(2, 3))


class Basic(nn.Module):
    """He et al. (2016), figure 5, left."""

    expansion = 1

    def __init__(self, channels, width, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """He et al. (2016), figure 5, right, with the stride at the 3 x 3 convolution."""

    expansion = 4

    def __init__(self, channels, width, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = shortcut

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """He et al. (2016), table 1."""

    def __init__(self, block, counts, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.channels = 64
        self.layer1 = self._stage(block, 64, counts[0], 1)
        self.layer2 = self._stage(block, 128, counts[1], 2)
        self.layer3 = self._stage(block, 256, counts[2], 2)
        self.layer4 = self._stage(block, 512, counts[3], 2)
        self.fc = nn.Linear(512 * block.expansion, classes)

    def _stage(self, block, width, count, stride):
        out = width * block.expansion
        shortcut = None
        if stride > 1 or self.channels != out:
            shortcut = nn.Sequential(nn.Conv2d(self.channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
        first = block(self.channels, width, stride, shortcut)
        self.channels = out
        return nn.Sequential(first, *(block(out, width, 1, None) for _ in range(count - 1)))

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


MODULES = {
    "alexnet_caffe": lambda classes: caffe_alexnet(True, classes),
    "caffenet": lambda classes: caffe_alexnet(False, classes),
    "lenet5": LeNet5,
    "resnet18": lambda classes: ResNet(Basic, (2, 2, 2, 2), classes),
    "resnet34": lambda classes: ResNet(Basic, (3, 4, 6, 3), classes),
    "resnet50": lambda classes: ResNet(Bottleneck, (3, 4, 6, 3), classes),
    "squeezenet1_0": lambda classes: SqueezeNet("1.0", classes),
    "squeezenet1_0_caffe": lambda classes: SqueezeNet("1.0", classes, border=1),
    "squeezenet1_1": lambda classes: SqueezeNet("1.1", classes),
    "squeezenet1_1_caffe": lambda classes: SqueezeNet("1.1", classes),
    **{name: lambda classes, column=column: Vgg(column, False, classes) for name, column in VGG.items()},
    **{f"{name}_bn": lambda classes, column=column: Vgg(column, True, classes) for name, column in VGG.items()},
}


def build(name, classes):
    """The module of an architecture, without arrays of its own: they come from the network compared with it."""
    with torch.device("meta"):
        return MODULES[name](classes)
