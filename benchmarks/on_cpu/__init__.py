"""The parts of benchmarks/cpu.py: candidates, their clock, sections, tables and plots."""
