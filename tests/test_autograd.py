"""The backward pass: what is kept, what is freed, what is computed, and what is refused."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitl as tl
from minitl import autograd
from minitl import functional as F
from minitl.autograd import Function
from minitl.errors import AutogradError, ShapeError


def leaf(values):
    return tl.tensor(np.array(values, np.float64), requires_grad=True)


class Square(Function):
    """Keeps its input; `calls` counts the backward passes."""

    calls = 0

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        Square.calls += 1
        (x,) = ctx.saved
        return 2 * x * grad


class TestGradients:
    def test_accumulate_until_cleared(self):
        x = leaf([1, 2])
        (x * 3).sum().backward()
        (x * 4).sum().backward()
        assert x.grad.tolist() == [7, 7]
        x.grad = None
        x.sum().backward()
        assert x.grad.tolist() == [1, 1]

    def test_diamond(self):
        x = leaf([3])
        a = x * x
        y = a * 2 + a * a  # 2 x^2 + x^4
        y.backward()
        assert x.grad.tolist() == [4 * 3 + 4 * 27]

    def test_a_node_is_passed_once_however_many_use_it(self):
        Square.calls = 0
        x = leaf([2])
        y = F.apply(Square, x)
        z = y
        for _ in range(20):
            z = z + z  # 2**20 paths
        z.backward()
        assert Square.calls == 1
        assert x.grad.tolist() == [4 * 2**20]

    def test_one_tensor_twice_in_one_call(self):
        x = leaf([[1, 2]])
        F.concat([x, x]).backward(np.array([[1, 2, 3, 4]]))
        assert x.grad.tolist() == [[4, 6]]

    def test_a_leaf_is_its_own_gradient(self):
        x = leaf([1, 2])
        x.backward(np.array([5, 6]))
        assert x.grad.tolist() == [5, 6]

    def test_weights_given_to_backward(self):
        x = leaf([1, 2])
        (x * x).backward(tl.tensor([1.0, 10.0]))
        assert x.grad.tolist() == [2, 40]

    def test_gradients_of_several_leaves_do_not_share_writable_memory(self):
        a, b = leaf([1, 2]), leaf([3, 4])
        seed = np.ones(2)
        (a + b).backward(seed)
        seed[:] = 9
        assert a.grad.tolist() == b.grad.tolist() == [1, 1]
        with pytest.raises(ValueError, match="read-only"):
            a.grad[0] = 5

    @given(st.lists(st.tuples(st.sampled_from("+*-"), st.integers(0, 99), st.integers(0, 99)), max_size=12))
    def test_any_graph_against_forward_differentiation(self, steps):
        """Values and slopes are carried along (dual numbers) and compared with one backward pass."""
        x = leaf([0.7])
        tensors, duals = [x, tl.tensor(np.array([0.3]))], [(0.7, 1.0), (0.3, 0.0)]
        for op, i, j in steps:
            (a, da), (b, db) = duals[i % len(duals)], duals[j % len(duals)]
            left, right = tensors[i % len(tensors)], tensors[j % len(tensors)]
            if op == "+":
                tensors.append(left + right)
                duals.append((a + b, da + db))
            elif op == "-":
                tensors.append(left - right)
                duals.append((a - b, da - db))
            elif abs(a * b) < 1e6:
                tensors.append(left * right)
                duals.append((a * b, da * b + a * db))
        y, (value, slope) = tensors[-1], duals[-1]
        assert y.item() == pytest.approx(value)
        if y.requires_grad:
            y.backward()
            assert x.grad.item() == pytest.approx(slope)


class TestOnlyWhatIsNeeded:
    def test_nothing_is_recorded_under_no_grad(self):
        x = leaf([1])
        with tl.no_grad():
            assert not autograd.is_grad_enabled()
            y = x * x
            with tl.no_grad():
                pass
            assert not autograd.is_grad_enabled()
        assert autograd.is_grad_enabled()
        assert y.node is None
        assert not y.requires_grad

    def test_recording_resumes_after_an_error(self):
        with pytest.raises(KeyError), tl.no_grad():
            raise KeyError
        assert autograd.is_grad_enabled()

    def test_needs_tell_a_function_what_is_wanted(self):
        seen = []

        class Spy(Function):
            @staticmethod
            def forward(ctx, a, b, c):
                seen.append(ctx.needs)
                return a + b

            @staticmethod
            def backward(ctx, grad):
                return grad, None, None

        F.apply(Spy, leaf([1]), tl.tensor([1.0]), None)
        with tl.no_grad():
            F.apply(Spy, leaf([1]), leaf([1]), None)
        assert seen == [(True, False, False), (False, False, False)]

    def test_a_frozen_parameter_leaves_nothing_behind(self):
        w = tl.Parameter(np.ones((2, 3)), "fc.weight", frozen=True)
        y = F.relu(F.linear(tl.tensor(np.ones((1, 3))), w))
        assert y.node is None

    @pytest.mark.parametrize("op", ["conv2d", "linear"])
    def test_a_frozen_weight_lets_activations_go(self, op):
        shapes = {"conv2d": ((1, 2, 5, 5), (3, 2, 3, 3)), "linear": ((4, 2), (3, 2))}[op]
        x = leaf(np.ones(shapes[0])) * 1
        w = tl.Parameter(np.ones(shapes[1]), frozen=True)
        y = getattr(F, op)(x, w)
        assert y.node.context.saved[0] is None  # the input, which only the weight's gradient needs
        assert y.node.context.saved[1] is not None

    def test_no_gradient_below_the_last_trainable_layer(self):
        w = tl.Parameter(np.ones((3, 2)))
        y = F.linear(tl.tensor(np.ones((4, 2))), w)
        assert y.node.context.saved[1] is None  # the weight, which only the input's gradient needs
        assert y.node.parents[0] is None

    def test_frozen_after_the_forward_pass_takes_effect_at_the_next(self):
        w = tl.Parameter(np.ones((3, 2)))
        x = tl.tensor(np.ones((4, 2)))
        F.linear(x, w).sum().backward()
        w.frozen = True
        assert F.linear(x, w).node is None
        w.frozen = False
        assert F.linear(x, w).node is not None


class TestMemory:
    def graph(self):
        x = leaf(np.arange(4.0))
        inner = x * 2
        array = inner._array
        return x, F.apply(Square, inner), weakref.ref(array)

    def test_saved_arrays_go_with_the_backward_pass(self):
        x, y, saved = self.graph()
        gc.collect()
        assert saved() is not None
        y.backward(np.ones(4))
        gc.collect()
        assert saved() is None
        assert x.grad.tolist() == [0, 8, 16, 24]

    def test_saved_arrays_go_with_the_result(self):
        _, y, saved = self.graph()
        del y
        gc.collect()
        assert saved() is None

    def test_what_nobody_saved_goes_at_once(self):
        x = leaf(np.arange(4.0))
        inner = x + 1
        array = weakref.ref(inner._array)
        y = F.relu(inner)
        del inner
        gc.collect()
        assert array() is None
        y.backward(np.ones(4))
        assert x.grad.tolist() == [1, 1, 1, 1]

    def test_a_graph_leaves_no_cycles_for_the_collector(self):
        _, y, saved = self.graph()
        gc.disable()
        try:
            del y
            assert saved() is None
        finally:
            gc.enable()


class TestTwice:
    def test_a_second_pass_is_refused(self):
        y = F.apply(Square, leaf([1]))
        y.backward()
        with pytest.raises(AutogradError, match=r"Square: backward ran .*retain_graph=True"):
            y.backward()

    def test_retain_graph_allows_it(self):
        x = leaf([3])
        y = F.apply(Square, x)
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.tolist() == [12]


class TestRefusals:
    def test_nothing_to_differentiate(self):
        with pytest.raises(AutogradError, match="nothing that led here requires a gradient"):
            tl.tensor([1.0]).backward()

    def test_more_than_a_scalar_needs_weights(self):
        with pytest.raises(AutogradError, match=r"backward: needs grad= of shape \(2,\)"):
            leaf([1, 2]).backward()
        with pytest.raises(ShapeError, match=r"grad must have shape \(2,\); got \(3,\)"):
            leaf([1, 2]).backward(np.ones(3))

    @pytest.mark.parametrize("through_a_view", [False, True])
    def test_a_parameter_assigned_to_in_between(self, through_a_view):
        w = tl.Parameter(np.ones((2, 3)), "fc.weight")
        y = (leaf(np.ones((1, 3))) @ w.T if through_a_view else F.linear(leaf(np.ones((1, 3))), w)).sum()
        w.assign(np.zeros((2, 3)))
        with pytest.raises(AutogradError, match=r"'fc.weight'.* was assigned to between"):
            y.backward()

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (lambda g: (g, g), "returned 2 gradients for 1 inputs"),
            (lambda g: g[:1], r"must return a gradient of shape \(2,\); got \(1,\)"),
            (lambda g: None, r"must return a gradient of shape \(2,\); got None"),
        ],
    )
    def test_a_wrong_backward_is_named(self, answer, message):
        class Wrong(Function):
            @staticmethod
            def forward(ctx, x):
                return x + 1

            @staticmethod
            def backward(ctx, grad):
                return answer(grad)

        with pytest.raises((AutogradError, ShapeError), match=f"Wrong.backward {message}"):
            F.apply(Wrong, leaf([1, 2])).backward(np.ones(2))

    def test_a_function_without_passes(self):
        with pytest.raises(TypeError, match="defines forward"):
            F.apply(Function, leaf([1]))


def test_a_deep_chain_does_not_recurse():
    x = leaf([1])
    y = x
    for _ in range(5000):
        y = y + 1
    y.backward()
    assert x.grad.tolist() == [1]
    for _ in range(200_000 // 5000):
        z = x
        for _ in range(5000):
            z = z * 1
        del z  # freeing a chain must not recurse either


def test_threads_record_apart():
    entered, leave, seen = threading.Event(), threading.Event(), []

    def quiet():
        with tl.no_grad():
            entered.set()
            leave.wait(10)
            seen.append(autograd.is_grad_enabled())

    thread = threading.Thread(target=quiet)
    thread.start()
    assert entered.wait(10)
    assert autograd.is_grad_enabled()
    x = leaf([2])
    y = x * x
    leave.set()
    thread.join()
    y.backward()
    assert x.grad.tolist() == [4]
    assert seen == [False]


def test_threads_differentiate_at_once():
    grads = {}

    def work(k):
        w = leaf(np.full(3, float(k)))
        for _ in range(50):
            (w * w).sum().backward()
        grads[k] = w.grad

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k: g.tolist() for k, g in grads.items()} == {k: [100.0 * k] * 3 for k in range(4)}
