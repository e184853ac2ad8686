"""Mutation testing: faults planted in the kernels' sources one by one, and the share of them that the checks find.

operators.py says what a fault in CUDA C++ looks like, python_operators.py one in a Numba kernel; sampling.py draws some
of all; calls.py draws what they are tried on, bench.py plants one and says whether anything noticed, engine.py gives
each a process of its own; argued.py lists those that nothing can notice, each with the reason.

$ python -m minitl.kernels.verify.mutation relu softmax           # all mutants of these ops
$ python -m minitl.kernels.verify.mutation --sample 300 --seed 0  # some of all
$ python -m minitl.kernels.verify.mutation --fixed                # the few that the tests plant

Source: DeMillo, Lipton & Sayward, "Hints on test data selection: help for the practicing programmer" (1978).
"""
