"""How kernels are proven: derived error bounds and the strategies that draw their arguments."""
