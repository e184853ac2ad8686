"""Names of layers: the canonical ones, which are the papers', and what other libraries call the same layers.

Each table maps the canonical name of a node to its aliases, in the order in which the nodes run. Sources:
torchvision/models/{alexnet,vgg,squeezenet}.py (positions in `features` and `classifier`), keras/applications/vgg16.py,
and Caffe's VGG_ILSVRC_16_layers and SqueezeNet_v1.0 prototxt files. Caffe's AlexNet and VGG use the canonical names.
"""

from __future__ import annotations

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

# Simonyan & Zisserman (2014), configuration D. Keras's block1_conv1 includes the ReLU; here it is the convolution.
VGG16: Table = {
    "conv1_1": ("features.0", "block1_conv1"),
    "relu1_1": ("features.1",),
    "conv1_2": ("features.2", "block1_conv2"),
    "relu1_2": ("features.3",),
    "pool1": ("features.4", "block1_pool"),
    "conv2_1": ("features.5", "block2_conv1"),
    "relu2_1": ("features.6",),
    "conv2_2": ("features.7", "block2_conv2"),
    "relu2_2": ("features.8",),
    "pool2": ("features.9", "block2_pool"),
    "conv3_1": ("features.10", "block3_conv1"),
    "relu3_1": ("features.11",),
    "conv3_2": ("features.12", "block3_conv2"),
    "relu3_2": ("features.13",),
    "conv3_3": ("features.14", "block3_conv3"),
    "relu3_3": ("features.15",),
    "pool3": ("features.16", "block3_pool"),
    "conv4_1": ("features.17", "block4_conv1"),
    "relu4_1": ("features.18",),
    "conv4_2": ("features.19", "block4_conv2"),
    "relu4_2": ("features.20",),
    "conv4_3": ("features.21", "block4_conv3"),
    "relu4_3": ("features.22",),
    "pool4": ("features.23", "block4_pool"),
    "conv5_1": ("features.24", "block5_conv1"),
    "relu5_1": ("features.25",),
    "conv5_2": ("features.26", "block5_conv2"),
    "relu5_2": ("features.27",),
    "conv5_3": ("features.28", "block5_conv3"),
    "relu5_3": ("features.29",),
    "pool5": ("features.30", "block5_pool"),
    "avgpool": (),
    "flatten": (),
    "fc6": ("classifier.0", "fc1"),
    "relu6": ("classifier.1",),
    "drop6": ("classifier.2",),
    "fc7": ("classifier.3", "fc2"),
    "relu7": ("classifier.4",),
    "drop7": ("classifier.5",),
    "fc8": ("classifier.6", "predictions"),
}

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


# SqueezeNet 1.0. torchvision and Caffe differ in padding and pooling, not in names.
SQUEEZENET1_0: Table = {
    "conv1": ("features.0",),
    "relu1": ("features.1", "relu_conv1"),
    "pool1": ("features.2",),
    **_fire("fire2", 3),
    **_fire("fire3", 4),
    **_fire("fire4", 5),
    "pool4": ("features.6",),
    **_fire("fire5", 7),
    **_fire("fire6", 8),
    **_fire("fire7", 9),
    **_fire("fire8", 10),
    "pool8": ("features.11",),
    **_fire("fire9", 12),
    "drop9": ("classifier.0",),
    "conv10": ("classifier.1",),
    "relu10": ("classifier.2", "relu_conv10"),
    "pool10": ("classifier.3",),
    "flatten": (),
}

TABLES: dict[str, Table] = {
    "alexnet": ALEXNET,
    "vgg16": VGG16,
    "squeezenet1_0_caffe": SQUEEZENET1_0,
}


def aliases(network: str) -> dict[str, str]:
    """Other libraries' names of the nodes of a known network -> canonical names; empty for any other network."""
    return {alias: name for name, others in TABLES.get(network, {}).items() for alias in others}
