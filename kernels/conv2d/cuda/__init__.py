"""Convolution in CUDA C++: ladders of kernels from naive upwards in .cu files, each with its launchers beside it."""
