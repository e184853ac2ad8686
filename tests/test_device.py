"""Devices without a GPU: whatever asks for one says why it cannot be had. With a pretended one, see tests/device."""

import json

import numpy as np
import pytest

import minitl as tl
from minitl import cli, data, device, kernels, models
from minitl.errors import ArgumentError, BackendUnavailable
from minitl.kernels.cuda import device as gpu
from minitl.train import Trainer, reopen

REASON = "no NVIDIA driver is installed (nvidia-smi would show it)"


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    monkeypatch.setattr(gpu, "unavailable", lambda: REASON)


def network():
    return models.small_vgg(num_classes=2, size=28, seed=1)


def pictures():
    x = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 3)).astype(np.uint8)
    return data.arrays(x, np.arange(8) % 2, val=0.25)


class OnGpu:
    """An array of another library's, on a GPU."""

    def __init__(self):
        self.__cuda_array_interface__ = {"shape": (2,), "typestr": "<f4", "data": (0, False), "version": 3}

    def __dlpack__(self, **_):
        raise AssertionError("not to be asked")

    def __dlpack_device__(self):
        return 2, 0


REFUSED = {
    "Network.to": lambda: network().to("cuda"),
    "Network.to a second": lambda: network().to("cuda:1"),
    "Tensor.to": lambda: tl.tensor([1.0]).to("cuda"),
    "Trainer": lambda: Trainer(network(), pictures(), device="cuda"),
    "from_dlpack": lambda: tl.from_dlpack(OnGpu()),
    "tensor": lambda: tl.tensor(OnGpu()),
    "resolve": lambda: device.resolve("cuda:0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_says_why_not(name):
    with pytest.raises(BackendUnavailable, match=r"device 'cuda(:\d)?': no NVIDIA driver is installed \(nvidia-smi"):
        REFUSED[name]()


def test_nothing_has_moved():
    net = network()
    with pytest.raises(BackendUnavailable):
        net.to("cuda")
    assert net.device == "cpu"


def test_auto_is_the_cpu():
    assert device.resolve("auto") == "cpu"
    assert network().to("auto").device == "cpu"
    assert tl.tensor([1.0]).to("auto").device == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CUDA", None, 0, "cuda:-1"])
def test_other_names_are_refused(name):
    with pytest.raises(ArgumentError, match='device must be "cpu", "cuda", "cuda:N" or "auto"; got'):
        device.resolve(name)


def test_a_tensor_on_the_cpu_has_no_cuda_interface():
    x = tl.tensor([1.0])
    assert not hasattr(x, "__cuda_array_interface__")
    with pytest.raises(AttributeError, match=r"is on cpu, so it has no __cuda_array_interface__; move it with .to"):
        x.__cuda_array_interface__  # noqa: B018
    assert x.__dlpack_device__() == (1, 0)


def test_from_dlpack_takes_what_speaks_it():
    with pytest.raises(ArgumentError, match="needs an array with __dlpack__, such as PyTorch's; got list"):
        tl.from_dlpack([1.0])


@pytest.mark.parametrize("command", ["train", "resume", "evaluate", "predict", "features"])
def test_the_command_line_says_why_not(command, tmp_path, capsys):
    network().save(tmp_path / "net.h5")
    words = {
        "train": ["photos", "--weights", tmp_path / "net.h5", "--out", tmp_path / "out"],
        "evaluate": [tmp_path / "net.h5", tmp_path],
        "predict": [tmp_path / "net.h5", tmp_path / "picture.png"],
        "features": [tmp_path / "net.h5", tmp_path / "picture.png", "--out", tmp_path / "features.npz"],
    }
    if command == "resume":
        run = _run(tmp_path / "run")
        words["resume"] = [run]
    assert cli.main([command, *map(str, words[command]), "--device", "cuda"]) == 1
    assert f"device 'cuda': {REASON}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _run(folder):
    """The folder of a run, as `minitl train` leaves it."""
    found = folder.parent / "photos.npz"
    labels = np.arange(8) % 2
    np.savez(found, x=np.repeat(labels, 28 * 28 * 3).reshape(8, 28, 28, 3).astype(np.uint8) * 200, y=labels)
    words = ["train", found, "--weights", folder.parent / "net.h5", "--out", folder, "--epochs", 1, "--lr", 0.01]
    assert cli.main([*map(str, words), "--no-progress"]) == 0
    return folder


def test_a_run_of_a_gpu_says_how_to_go_on_without(tmp_path):
    network().save(tmp_path / "net.h5")
    run = _run(tmp_path / "run")
    path = run / "run.json"
    begun = json.loads(path.read_text())
    begun["options"]["device"] = "cuda:0"
    path.write_text(json.dumps(begun))
    with pytest.raises(BackendUnavailable, match=r"began on cuda:0, but device 'cuda:0': no NVIDIA.*--device cpu"):
        reopen(run)
    assert reopen(run, device="cpu", progress=False).net.device == "cpu"


def test_kernels_say_why_no_gpu_version_serves():
    found = kernels.why("relu", x_shape=(2, 3))
    assert found.reasons["cuda.vector"] == REASON
    refusal = r"'cuda' was asked for but cannot serve; cuda\.vector: no NVIDIA"
    with kernels.using(relu="cuda"), pytest.raises(BackendUnavailable, match=refusal):
        kernels.relu.forward(np.ones(3, np.float32))


def test_precision_is_set_for_all():
    try:
        tl.set_precision("tf32")
        assert kernels.precision.current() == "tf32"
    finally:
        tl.set_precision("float32")
    with pytest.raises(ArgumentError, match="precision must be one of float32, tf32, bfloat16"):
        tl.set_precision("float16")
