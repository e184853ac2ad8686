"""Convolution compiled by Numba for the CPU, a file an algorithm; the arrays inside are channels-last."""
