"""Laws about the tests: no tolerance of their own for kernels, no silent skip, no stopwatch."""

from __future__ import annotations

import ast

TOLERANCES = {"rtol", "atol", "rel", "abs", "tol", "tolerance", "eps", "decimal", "delta"}
SMALL = 1e-3  # a written number below this is a tolerance, whatever it is called


def _numbers(node: ast.AST):
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and type(inner.value) in (int, float):
            yield inner


def test_kernel_tests_write_no_tolerance(tests):
    wrong = []
    for s in tests:
        if not s.path.startswith("tests/kernels/"):
            continue
        for node in ast.walk(s.tree):
            if isinstance(node, ast.keyword) and node.arg in TOLERANCES:
                wrong += [f"{s.path}:{n.lineno}: {node.arg}={n.value}" for n in _numbers(node.value) if n.value]
            if isinstance(node, ast.Constant) and type(node.value) is float and 0 < abs(node.value) < SMALL:
                wrong.append(f"{s.path}:{node.lineno}: {node.value}")
    assert not wrong, "bounds come from minitl.kernels.verify.bounds:\n" + "\n".join(sorted(set(wrong)))


def _skips_without_reason(tree: ast.Module):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            reason = [k.value for k in node.keywords if k.arg == "reason"]
            if name in ("pytest.skip", "pytest.fail", "pytest.xfail"):
                reason += node.args[:1]
            elif name not in ("pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"):
                continue
            if not reason or (isinstance(reason[0], ast.Constant) and not reason[0].value):
                yield node
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for decorator in node.decorator_list:
                if ast.unparse(decorator) in ("pytest.mark.skip", "pytest.mark.xfail"):
                    yield decorator


def test_every_skip_has_a_reason(tests):
    wrong = [f"{s.path}:{node.lineno}" for s in tests for node in _skips_without_reason(s.tree)]
    assert not wrong, "\n".join(wrong)


def test_no_test_holds_a_stopwatch(tests):
    """A timing asserted in a test fails on a busy machine. Benchmarks measure; tests do not."""
    clocks = ("time.time", "time.perf_counter", "time.monotonic", "time.process_time", "timeit.")
    wrong = []
    for s in tests:
        if s.path == "tests/laws/test_tests.py":
            continue
        wrong += [
            f"{s.path}:{node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(s.tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(clocks)
        ]
    assert not wrong, "\n".join(wrong)
