"""Laws about what code may do: draw keyed random numbers only, and raise errors of the one family."""

import ast

RANDOM = {"default_rng", "Generator"}  # of numpy.random; all else there is one state that everybody shares

# Exceptions outside the family, and why they may be raised there.
OTHERS = {
    "AttributeError": {
        "minitl/__init__.py",
        "minitl/tensor.py",  # of __cuda_array_interface__, which others look for with hasattr
        "kernels/__init__.py",
        "kernels/verify/__init__.py",
    },  # of __getattr__
    "AssertionError": {"minitl/testing.py"},  # checks for tests to call
    "Disagreement": {"kernels/verify/agreement.py"},  # an AssertionError, likewise
    "TypeError": {"minitl/autograd.py", "minitl/nn/layers/base.py", "weights/schema.py"},  # a method left undefined
    "ValueError": {"minitl/images/decode.py", "kernels/verify/strategies.py", "weights/schema.py"},  # caught nearby
    "IsADirectoryError": {"weights/atomic.py"},  # caught nearby
    "ArgumentTypeError": {"minitl/cli/common.py"},  # how argparse is told
    "KeyboardInterrupt": {
        "minitl/cli/__init__.py",
        "minitl/cli/demo.py",
        "minitl/cli/pretrain.py",
    },
}


def test_random_numbers_are_keyed(library):
    """Law 10: never a generator that others share, nor one seeded by the clock."""
    wrong = []
    for s in library:
        for node in ast.walk(s.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                wrong += [f"{s.path}:{node.lineno}: {ast.unparse(node)}"] if node.attr not in RANDOM else []
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
                if "random" in modules and not getattr(node, "level", 0):
                    wrong.append(f"{s.path}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng") and not node.args:
                wrong.append(f"{s.path}:{node.lineno}: {ast.unparse(node)} without a seed")
    assert not wrong, "\n".join(wrong)


def test_errors_are_of_one_family(library):
    """Law 13: what is raised on purpose is a MinitlError."""
    family = {
        node.name
        for s in library
        if s.path == "minitl/errors.py"
        for node in s.tree.body
        if isinstance(node, ast.ClassDef)
    }
    wrong = []
    for s in library:
        for node in ast.walk(s.tree):
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = ast.unparse(raised).rpartition(".")[2]
            if name[0].isupper() and name not in family and s.path not in OTHERS.get(name, ()):
                wrong.append(f"{s.path}:{node.lineno}: {name}")
    assert not wrong, "\n".join(wrong)


ALLOCATES = {"empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like"}


def test_no_thread_of_a_kernel_asks_for_memory(library):
    """Where one does not get it, Numba leaves its share undone and tells nobody: all of it comes before they part."""
    wrong = []
    for s in library:
        for node in ast.walk(s.tree):
            if isinstance(node, ast.For) and ast.unparse(node.iter).startswith("prange("):
                called = [ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
                wrong += [f"{s.path}:{node.lineno}: {name}" for name in called if name.removeprefix("np.") in ALLOCATES]
    assert not wrong, wrong
