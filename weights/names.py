"""Names of layers: the canonical ones, which are the papers', and what other libraries call the same layers.

Each table maps the canonical name of a node to its aliases, in the order in which the nodes run. Sources:
torchvision/models/{alexnet,vgg,squeezenet,resnet}.py (positions in `features` and `classifier`),
keras/applications/vgg16.py and vgg19.py, and Caffe's SqueezeNet_v1.0 and v1.1 prototxt files. Caffe's AlexNet, CaffeNet
and VGG use the canonical names. Keras's ResNet50 is another network (a bias at every convolution, the stride at the
first of a block), so its names are not listed.
"""

from __future__ import annotations

from collections.abc import Iterator

Table = dict[str, tuple[str, ...]]

# Krizhevsky, "One weird trick" (2014), as in torchvision: a dropout before fc6 and one before fc7.
ALEXNET: Table = {
    "conv1": ("features.0",),
    "relu1": ("features.1",),
    "pool1": ("features.2",),
    "conv2": ("features.3",),
    "relu2": ("features.4",),
    "pool2": ("features.5",),
    "conv3": ("features.6",),
    "relu3": ("features.7",),
    "conv4": ("features.8",),
    "relu4": ("features.9",),
    "conv5": ("features.10",),
    "relu5": ("features.11",),
    "pool5": ("features.12",),
    "avgpool": (),
    "flatten": (),
    "drop6": ("classifier.0",),
    "fc6": ("classifier.1",),
    "relu6": ("classifier.2",),
    "drop7": ("classifier.3",),
    "fc7": ("classifier.4",),
    "relu7": ("classifier.5",),
    "fc8": ("classifier.6",),
}

# LeCun et al. (1998), section II.B: their capitals name convolutions, subsampling and full layers.
LENET5: Table = {
    "conv1": ("C1",),
    "tanh1": (),
    "pool2": ("S2",),
    "conv3": ("C3",),
    "tanh3": (),
    "pool4": ("S4",),
    "conv5": ("C5",),
    "tanh5": (),
    "flatten": (),
    "fc6": ("F6",),
    "tanh6": (),
    "fc7": (),
}

# Caffe's bvlc_alexnet and bvlc_reference_caffenet: one normalizes before it pools, the other after.
_CLASSIFIER = ("flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8")


def _caffe_alexnet(*around_pooling: str) -> Table:
    names = [f"{layer}{number}" for number in "12" for layer in ("conv", "relu", *around_pooling)]
    names += ["conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5", *_CLASSIFIER]
    return dict.fromkeys(names, ())


# Convolutions in each of the five blocks (Simonyan & Zisserman, table 1: configurations A, B, D and E)
VGG_BLOCKS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_VGG_CLASSIFIER: Table = {
    "avgpool": (),
    "flatten": (),
    "fc6": ("classifier.0",),
    "relu6": ("classifier.1",),
    "drop6": ("classifier.2",),
    "fc7": ("classifier.3",),
    "relu7": ("classifier.4",),
    "drop7": ("classifier.5",),
    "fc8": ("classifier.6",),
}


def _vgg(blocks: tuple[int, ...], batch_norm: bool = False) -> Table:
    """torchvision counts every module of `features`: each convolution, normalization, ReLU and pooling."""
    layers = ("conv", "bn", "relu") if batch_norm else ("conv", "relu")
    names: list[str] = []
    for block, count in enumerate(blocks, 1):
        names += [f"{layer}{block}_{i}" for i in range(1, count + 1) for layer in layers]
        names.append(f"pool{block}")
    return {name: (f"features.{i}",) for i, name in enumerate(names)} | _VGG_CLASSIFIER


def _with_keras(table: Table) -> Table:
    """A VGG with Keras's names: its block1_conv1 includes the ReLU; here it is the convolution."""
    keras = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
    for name in table:
        if name.startswith("conv"):
            keras[name] = f"block{name[4]}_conv{name[6]}"
        elif name.startswith("pool"):
            keras[name] = f"block{name[4]}_pool"
    return {name: (*others, *([keras[name]] if name in keras else [])) for name, others in table.items()}


# The nodes of one fire module (Iandola et al. 2016): canonical ending, Caffe's, torchvision's.
# The module's output is its concatenation, so the bare name of the module stands for it.
FIRE = (
    (".squeeze1x1", "/squeeze1x1", ".squeeze"),
    (".relu_squeeze1x1", "/relu_squeeze1x1", ".squeeze_activation"),
    (".expand1x1", "/expand1x1", ".expand1x1"),
    (".relu_expand1x1", "/relu_expand1x1", ".expand1x1_activation"),
    (".expand3x3", "/expand3x3", ".expand3x3"),
    (".relu_expand3x3", "/relu_expand3x3", ".expand3x3_activation"),
    (".concat", "/concat", ""),
)


def _fire(module: str, position: int) -> Table:
    rows: Table = {
        module + here: (module + caffe, f"features.{position}{torchvision}") for here, caffe, torchvision in FIRE
    }
    rows[f"{module}.concat"] += (module,)
    return rows


def _squeezenet(*features: str) -> Table:
    """`features`: what follows conv1 and its ReLU, in torchvision's order. Caffe's networks have the same layers."""
    table: Table = {"conv1": ("features.0",), "relu1": ("features.1", "relu_conv1")}
    for position, name in enumerate(features, 2):
        table |= _fire(name, position) if name.startswith("fire") else {name: (f"features.{position}",)}
    return table | {
        "drop9": ("classifier.0",),
        "conv10": ("classifier.1",),
        "relu10": ("classifier.2", "relu_conv10"),
        "pool10": ("classifier.3",),
        "flatten": (),
    }


SQUEEZENET1_0 = _squeezenet(
    "pool1", "fire2", "fire3", "fire4", "pool4", "fire5", "fire6", "fire7", "fire8", "pool8", "fire9"
)
SQUEEZENET1_1 = _squeezenet(
    "pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5", "fire6", "fire7", "fire8", "fire9"
)

# Kind and number of the residual blocks in each of the four stages (He et al. 2016, table 1)
RESNET_BLOCKS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
}


def _resnet(kind: str, stages: tuple[int, ...]) -> Table:
    """torchvision's names are the canonical ones, but for the shortcuts' layers, which it numbers.

    The output of a block, and of a stage, is its last ReLU, so the bare name of either stands for that.
    """
    convolutions = 2 if kind == "basic" else 3
    table: Table = dict.fromkeys(("conv1", "bn1", "relu", "maxpool"), ())
    for stage, count in enumerate(stages, 1):
        for i in range(count):
            block = f"layer{stage}.{i}"
            table |= dict.fromkeys(_path(block, convolutions), ())
            if i == 0 and (stage > 1 or kind == "bottleneck"):
                table[f"{block}.downsample.conv"] = (f"{block}.downsample.0",)
                table[f"{block}.downsample.bn"] = (f"{block}.downsample.1",)
            table[f"{block}.add"] = ()
            table[f"{block}.relu{convolutions}"] = (block,) if i < count - 1 else (block, f"layer{stage}")
    return table | dict.fromkeys(("avgpool", "flatten", "fc"), ())


def _path(block: str, convolutions: int) -> Iterator[str]:
    """The nodes that change a block's input, up to the sum."""
    for i in range(1, convolutions + 1):
        yield from (f"{block}.conv{i}", f"{block}.bn{i}")
        if i < convolutions:
            yield f"{block}.relu{i}"


TABLES: dict[str, Table] = {
    "alexnet": ALEXNET,
    "alexnet_caffe": _caffe_alexnet("norm", "pool"),
    "caffenet": _caffe_alexnet("pool", "norm"),
    "lenet5": LENET5,
    **{name: _resnet(kind, stages) for name, (kind, stages) in RESNET_BLOCKS.items()},
    "squeezenet1_0": SQUEEZENET1_0,
    "squeezenet1_0_caffe": SQUEEZENET1_0,
    "squeezenet1_1": SQUEEZENET1_1,
    "squeezenet1_1_caffe": SQUEEZENET1_1,
    "vgg11": _vgg(VGG_BLOCKS["vgg11"]),
    "vgg13": _vgg(VGG_BLOCKS["vgg13"]),
    "vgg16": _with_keras(_vgg(VGG_BLOCKS["vgg16"])),
    "vgg19": _with_keras(_vgg(VGG_BLOCKS["vgg19"])),
    **{f"{name}_bn": _vgg(blocks, batch_norm=True) for name, blocks in VGG_BLOCKS.items()},
}


def aliases(network: str) -> dict[str, str]:
    """Other libraries' names of the nodes of a known network -> canonical names; empty for any other network."""
    return {alias: name for name, others in TABLES.get(network, {}).items() for alias in others}
