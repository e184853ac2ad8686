"""Convolution compiled by Numba for the CPU, a file an algorithm; the arrays inside are channels-last.

gemm.py: forward pass and input gradient, as blocks of gathered windows times the filter matrix.
gemm_weight.py: weight gradient, the same windows transposed times the output gradient.
windows.py: how windows are numbered along an axis, and the gathering that both share.
"""
