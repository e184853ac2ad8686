"""The parts of benchmarks/gpu.py: checks on the device, timings of ops, timings of whole networks."""
