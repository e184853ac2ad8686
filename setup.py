"""Packaging. The folders kernels/ and weights/ are installed inside minitl (see package_dir)."""

from pathlib import Path

from setuptools import find_packages, setup


def packages() -> list[str]:
    """Every package of the three source folders, under the name it is installed by."""
    names = ["minitl", *("minitl." + name for name in find_packages("minitl"))]
    for folder in ("kernels", "weights"):
        names += [f"minitl.{folder}", *(f"minitl.{folder}.{name}" for name in find_packages(folder))]
    return names


# NVRTC of the first minor version of its CUDA: every driver of that CUDA loads what it compiles.
NVRTC = ["cuda-bindings==13.*", "nvidia-cuda-nvrtc==13.0.*"]
TEST = ["pytest>=8", "hypothesis>=6.100"]
EXTRAS = {
    "cuda13": ["cupy-cuda13x>=14", "numba-cuda[cu13]>=0.30", *NVRTC],
    "cuda12": ["cupy-cuda12x>=14", "numba-cuda[cu12]>=0.30", "cuda-bindings==12.*", "nvidia-cuda-nvrtc-cu12"],
    "test": TEST,
    "verify": [*TEST, "greenlet>=3", "numba-cuda>=0.30", *NVRTC, "nvidia-cuda-nvdisasm==13.*"],  # and g++
    # What benchmarks/ and the comparisons in tests/ measure against.
    "bench": ["torch==2.13.0", "onnx>=1.17", "onnxruntime>=1.20", "openvino>=2025"],
}

setup(
    name="minitl",
    version="0.1.0",
    description="A from-scratch CNN engine for transfer learning: readable autograd over its own kernels",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="convolutional neural network, transfer learning, autograd, numba, education",
    python_requires=">=3.11",
    package_dir={"minitl": "minitl", "minitl.kernels": "kernels", "minitl.weights": "weights"},
    packages=packages(),
    package_data={
        "minitl": ["py.typed"],
        "minitl.kernels": [f"**/*.{ending}" for ending in ("cu", "cuh", "cpp", "h")],
        "minitl.weights": ["embedded/*.h5", "embedded/*.md"],
    },
    install_requires=[
        "numpy>=2.0",
        "numba>=0.60",
        "scipy>=1.11",
        "threadpoolctl>=3.2",
        "h5py>=3.10",
        "pillow>=10",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "tqdm>=4.66",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["minitl = minitl.cli:main"]},
)
