"""Every optimizer against PyTorch's over 100 drawn steps, and both against the textbook within a bound that is derived.

The textbook runs in float64 on numbers that carry a bound of their rounding error (running error analysis: Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.3), for the unit roundoff of the dtype under test.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitl import optim
from minitl.kernels.verify.bounds import unit_roundoff
from minitl.tensor import Parameter

torch = pytest.importorskip("torch", reason="compares with PyTorch")

STEPS = 100
SHAPES = {"conv.weight": (3, 2, 3, 3), "conv.bias": (3,), "fc.weight": (4, 7), "scale": ()}
SHARP = 5e4  # roundings of the largest number, 5e-12 of it in float64: a looser bound would prove nothing


class Rounded:
    """Numbers and a bound of how far those of an implementation in another dtype or order may lie from them.

    Every operation may round four times: once in this file, and up to three times in an implementation that writes
    it otherwise (a weighted mean as a step towards an end, a product in another order).
    """

    __array_ufunc__ = None  # NumPy lets `array * rounded` be ours
    u = 0.0
    tiny = 0.0

    def __init__(self, value, error=None):
        self.value = np.asarray(value, np.float64)
        # Settings are rounded to the dtype, and those such as 1 - beta once more.
        self.error = 2 * self.u * np.abs(self.value) if error is None else error

    @classmethod
    def _of(cls, given):
        return given if isinstance(given, Rounded) else cls(given)

    @classmethod
    def _made(cls, value, carried, size):
        return cls(value, carried + 4 * cls.u * size + cls.tiny)

    def __add__(self, other):
        other = self._of(other)
        size = np.abs(self.value) + np.abs(other.value)
        return self._made(self.value + other.value, self.error + other.error, size)

    def __neg__(self):
        return Rounded(-self.value, self.error)

    def __sub__(self, other):
        return self + -self._of(other)

    def __mul__(self, other):
        other = self._of(other)
        carried = np.abs(self.value) * other.error + np.abs(other.value) * self.error + self.error * other.error
        return self._made(self.value * other.value, carried, np.abs(self.value * other.value))

    def __truediv__(self, other):
        other = self._of(other)
        least = np.abs(other.value) - other.error
        assert np.all(least > 0), "the divisor may be 0"
        value = self.value / other.value
        return self._made(value, (self.error + np.abs(value) * other.error) / least, np.abs(value))

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self):
        root = np.sqrt(self.value)
        least = np.sqrt(np.maximum(self.value - self.error, 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            carried = np.where(self.error == 0, 0, self.error / (root + least))
        return self._made(root, carried, root)

    def maximum(self, other):
        return Rounded(np.maximum(self.value, other.value), np.maximum(self.error, other.error))

    def where(self, moved, old):
        """These numbers where something moved, the old ones elsewhere."""
        return Rounded(np.where(moved, self.value, old.value), np.where(moved, self.error, old.error))


def of_dtype(dtype):
    """Rounded for that dtype."""
    limits = {"u": unit_roundoff(dtype), "tiny": float(np.finfo(dtype).smallest_subnormal)}
    for name, value in limits.items():
        setattr(Rounded, name, value)


# The textbook: p and what is kept, rates and numbers of steps, all flat; returns the next p.


def sgd(p, g, kept, rate, t, momentum, weight_decay, nesterov):
    g = g + weight_decay * p
    v = kept["v"] = momentum * kept["v"] + g
    return p - rate * (g + momentum * v if nesterov else v)


def adam(p, g, kept, rate, t, betas, eps, weight_decay, amsgrad, decoupled=False):
    if not decoupled:
        g = g + weight_decay * p
    m = kept["m"] = betas[0] * kept["m"] + (1 - betas[0]) * g
    v = kept["v"] = betas[1] * kept["v"] + (1 - betas[1]) * (g * g)
    if amsgrad:
        v = kept["top"] = kept["top"].maximum(v)
    moved = rate * ((m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + eps))
    return p - moved - Rounded(rate) * weight_decay * p if decoupled else p - moved


def adamw(p, g, kept, rate, t, **options):
    return adam(p, g, kept, rate, t, **options, decoupled=True)


def rmsprop(p, g, kept, rate, t, alpha, eps, weight_decay, momentum, centered):
    g = g + weight_decay * p
    s = kept["s"] = alpha * kept["s"] + (1 - alpha) * (g * g)
    if centered:
        m = kept["m"] = alpha * kept["m"] + (1 - alpha) * g
        s = s - m * m
    v = kept["v"] = momentum * kept["v"] + g / (s.sqrt() + eps)
    return p - rate * v


decays = st.sampled_from([0.0, 5e-4, 0.05])
epsilons = st.sampled_from([1e-8, 1e-4, 0.1])
betas = st.tuples(st.sampled_from([0.0, 0.5, 0.9, 0.95]), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
adams = st.fixed_dictionaries(
    {"betas": betas, "eps": epsilons, "weight_decay": decays, "amsgrad": st.booleans()},
)
DRAWN = {
    "sgd": st.fixed_dictionaries(
        {"momentum": st.sampled_from([0.0, 0.5, 0.9]), "weight_decay": decays, "nesterov": st.booleans()}
    ).filter(lambda o: o["momentum"] or not o["nesterov"]),
    "adam": adams,
    "adamw": adams,
    "rmsprop": st.fixed_dictionaries(
        {
            "alpha": st.sampled_from([0.9, 0.99]),  # over few steps a variance may cancel to nothing
            "eps": epsilons,
            "weight_decay": decays,
            "momentum": st.sampled_from([0.0, 0.5, 0.9]),
            "centered": st.booleans(),
        }
    ),
}
RULES = {
    "sgd": (sgd, torch.optim.SGD),
    "adam": (adam, torch.optim.Adam),
    "adamw": (adamw, torch.optim.AdamW),
    "rmsprop": (rmsprop, torch.optim.RMSprop),
}


def flat(arrays):
    return np.concatenate([np.reshape(a, -1) for a in arrays]).astype(np.float64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
@given(data=st.data())
@settings(max_examples=settings().max_examples // 2)  # of 100 steps each
def test_as_pytorch_over_a_hundred_steps(name, dtype, data):
    """Rates, multipliers and settings are drawn, and which parameters have a gradient; the rate changes half-way."""
    options = data.draw(DRAWN[name])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    lr = data.draw(st.floats(1e-4, 0.03))
    multipliers = data.draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=4, max_size=4))
    left_out = data.draw(st.sampled_from([0.0, 0.3]))
    of_dtype(dtype)

    ours = [Parameter(rng.standard_normal(shape).astype(dtype), name) for name, shape in SHAPES.items()]
    theirs = [torch.nn.Parameter(torch.tensor(p.numpy())) for p in ours]
    for p, m in zip(ours, multipliers, strict=True):
        p.lr_mult = m
    groups = [{"params": [t], "lr": lr * m} for t, m in zip(theirs, multipliers, strict=True)]
    rule, kind = RULES[name]
    one, two = optim.OPTIMIZERS[name](ours, lr, **options), kind(groups, lr, **options)

    sizes = [p.size for p in ours]
    numbers = Rounded(flat(p.data for p in ours), np.zeros(sum(sizes)))
    kept = {role: Rounded(np.zeros(sum(sizes)), np.zeros(sum(sizes))) for role in ("v", "m", "s", "top")}
    t, largest = np.zeros(sum(sizes)), np.abs(numbers.value)
    for i in range(STEPS):
        if i == STEPS // 2:
            one.lr /= 3
            for group in two.param_groups:
                group["lr"] /= 3
        gradients = [rng.standard_normal(p.shape).astype(dtype) for p in ours]
        given_one = rng.random(len(ours)) >= left_out
        for p, q, g, has in zip(ours, theirs, gradients, given_one, strict=True):
            p.grad = np.asarray(g) if has else None
            q.grad = torch.tensor(np.asarray(g)) if has else None
        one.step()
        two.step()

        moved = np.repeat(given_one, sizes)
        t = t + moved
        rate = one.lr * np.repeat(multipliers, sizes)
        before, old = dict(kept), numbers
        g = Rounded(flat(gradients), np.zeros(sum(sizes)))
        numbers = rule(old, g, kept, rate, np.maximum(t, 1), **options).where(moved, old)
        kept = {role: new.where(moved, before[role]) for role, new in kept.items()}
        largest = np.maximum(largest, np.abs(numbers.value))

    assert np.all(np.abs(flat(p.data for p in ours) - numbers.value) <= numbers.error)
    assert np.all(np.abs(flat(q.detach().numpy() for q in theirs) - numbers.value) <= numbers.error)
    # Where a first gradient is nearly 0 the quotient is ill-conditioned, so a few bounds may be wide; not most of them.
    assert np.median(numbers.error) <= SHARP * unit_roundoff(dtype) * np.max(largest), "too loose to tell anything"
