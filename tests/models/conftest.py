"""The architectures written a second time, in PyTorch and by hand, so that nothing of the tables is shared."""

import importlib.util
from pathlib import Path

import pytest

FIRES = range(2, 10)


def _alexnet(F, p, x):
    """torchvision/models/alexnet.py."""
    values = {}

    def put(name, value):
        values[name] = value
        return value

    for i, stride, padding, pooled in ((1, 4, 2, True), (2, 1, 2, True), (3, 1, 1, 0), (4, 1, 1, 0), (5, 1, 1, True)):
        x = put(f"conv{i}", F.conv2d(x, *p(f"conv{i}"), stride=stride, padding=padding))
        x = put(f"relu{i}", F.relu(x))
        if pooled:
            x = put(f"pool{i}", F.max_pool2d(x, 3, 2))
    if p("fc6"):
        x = put("avgpool", F.adaptive_avg_pool2d(x, 6))
        x = put("flatten", x.flatten(1))
        for i in (6, 7):
            x = put(f"fc{i}", F.linear(x, *p(f"fc{i}")))
            x = put(f"relu{i}", F.relu(x))
        put("fc8", F.linear(x, *p("fc8")))
    return values


def _vgg16(F, p, x):
    """torchvision/models/vgg.py, configuration D, without the classifier."""
    values = {}
    for block, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
        for i in range(1, count + 1):
            x = values[f"conv{block}_{i}"] = F.conv2d(x, *p(f"conv{block}_{i}"), padding=1)
            x = values[f"relu{block}_{i}"] = F.relu(x)
        x = values[f"pool{block}"] = F.max_pool2d(x, 2)
    return values


def _squeezenet(F, p, x):
    """SqueezeNet_v1.0/deploy.prototxt: Caffe pools with ceiling, conv10 has pad 1 and a ReLU."""
    import torch

    values = {}
    x = values["conv1"] = F.conv2d(x, *p("conv1"), stride=2)
    x = values["relu1"] = F.relu(x)
    x = values["pool1"] = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for fire in (f"fire{i}" for i in FIRES):
        s = values[f"{fire}.squeeze1x1"] = F.conv2d(x, *p(f"{fire}.squeeze1x1"))
        s = values[f"{fire}.relu_squeeze1x1"] = F.relu(s)
        a = values[f"{fire}.expand1x1"] = F.conv2d(s, *p(f"{fire}.expand1x1"))
        a = values[f"{fire}.relu_expand1x1"] = F.relu(a)
        b = values[f"{fire}.expand3x3"] = F.conv2d(s, *p(f"{fire}.expand3x3"), padding=1)
        b = values[f"{fire}.relu_expand3x3"] = F.relu(b)
        x = values[f"{fire}.concat"] = torch.cat([a, b], 1)
        if fire in ("fire4", "fire8"):
            x = values[f"pool{fire[-1]}"] = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = values["conv10"] = F.conv2d(x, *p("conv10"), padding=1)
    x = values["relu10"] = F.relu(x)
    x = values["pool10"] = x.mean((2, 3), keepdim=True)
    values["flatten"] = x.flatten(1)
    return values


NETS = {"alexnet": _alexnet, "vgg16": _vgg16, "squeezenet1_0_caffe": _squeezenet}


@pytest.fixture(scope="session")
def in_torch():
    """in_torch(architecture, {"conv1.weight": torch tensor, …}, x) -> {node: value}, dropout left out."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")

    def run(architecture, parameters, x):
        def of(layer):
            return [parameters[f"{layer}.{role}"] for role in ("weight", "bias") if f"{layer}.{role}" in parameters]

        return NETS[architecture](torch.nn.functional, of, x)

    return run


@pytest.fixture(scope="session")
def layer_errors(in_torch):
    """layer_errors(net, x) -> {node: max|difference| / max|PyTorch's value in float64|}, dropouts left out."""
    import numpy as np
    import torch

    from minitl import no_grad, tensor
    from minitl.nn import Mode

    def compare(net, x):
        ours, errors = {"input": tensor(x)}, {}
        given = net.named_parameters()
        parameters = {name: torch.tensor(p.numpy(), dtype=torch.float64) for name, p in given.items()}
        with torch.no_grad():
            theirs = in_torch(net.name, parameters, torch.tensor(x, dtype=torch.float64))
        with no_grad():
            for node in net.graph:  # each once, on our own values, so that errors add up as they do in use
                inputs = [ours[name] for name in node.inputs]
                roles = {role: given[f"{node.name}.{role}"] for role in node.layer.parameter_shapes()}
                value = node.layer.forward(*inputs, parameters=roles, mode=Mode(), stream=0)
                ours[node.name] = value
                if node.op == "dropout":
                    continue
                reference = theirs.pop(node.name).numpy()
                assert value.shape == reference.shape, node.name
                errors[node.name] = float(np.abs(value.data - reference).max() / np.abs(reference).max())
            assert np.array_equal(net(x).data, value.data)
        assert not theirs, "nodes that the network lacks"
        print(f"{net.name}: worst layer {max(errors.values()):.1e}")
        return errors

    return compare


@pytest.fixture(scope="session")
def torch_modules():
    """The module torch_modules.py beside this file."""
    pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    spec = importlib.util.spec_from_file_location("torch_modules", Path(__file__).with_name("torch_modules.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def twin(torch_modules):
    """twin(net, classes) -> (run, arrays): PyTorch's module of the same name on copies of the network's arrays.

    run(x, training=False) gives its value. arrays: {our name: tensor}; those of parameters collect gradients, those of
    buffers follow the batches in training. Each of the module's arrays must have exactly one layer of ours whose
    name or alias it bears, and the other way round.
    """
    import torch

    from minitl import Parameter
    from minitl.weights import names

    def make(net, classes):
        module = torch_modules.build(net.name, classes)
        left = {name for name in module.state_dict() if not name.endswith("num_batches_tracked")}
        arrays, given = {}, {}
        for name, array in net.named_arrays().items():
            layer, _, role = name.rpartition(".")
            (found,) = {f"{known}.{role}" for known in (layer, *names.TABLES[net.name][layer])} & left
            left.remove(found)
            arrays[name] = given[found] = torch.from_numpy(array.numpy()).requires_grad_(isinstance(array, Parameter))
        assert not left, "arrays that the network lacks"

        def run(x, training=False):
            return torch.func.functional_call(module.train(training), given, (torch.tensor(x),))

        return run, arrays

    return make
