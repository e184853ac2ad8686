"""Batches on their way to the device: the same bits, begun ahead, never overtaken, never written over too early."""

import numpy as np
import pytest

from minitl import uploads
from minitl.tensor import Tensor
from minitl.uploads import ahead

from . import stand_in

BATCHES = [
    (i, np.random.default_rng(i).standard_normal((4 if i < 6 else 3, 2, 3)).astype(np.float32)) for i in range(7)
]


def test_the_same_bits_in_the_same_order():
    found = [(key, x.numpy()) for key, x in ahead(iter(BATCHES), "cuda:0", "float32")]
    assert [key for key, _ in found] == list(range(7))
    assert all(mine.tobytes() == x.tobytes() for (_, mine), (_, x) in zip(found, BATCHES, strict=True))


def test_all_may_be_kept():
    kept = list(ahead(iter(BATCHES), "cuda:0", "float32"))
    assert all(isinstance(x, Tensor) and x.device == "cuda:0" for _, x in kept)
    assert all(np.array_equal(x.numpy(), y) for (_, x), (_, y) in zip(kept, BATCHES, strict=True))


def test_nothing_and_one():
    assert list(ahead(iter([]), "cuda:0", "float32")) == []
    ((_, only),) = ahead(iter(BATCHES[:1]), "cuda:0", "float32")
    assert np.array_equal(only.numpy(), BATCHES[0][1])


def test_the_dtype_is_that_of_the_network():
    for _, x in ahead(iter(BATCHES), "cuda:0", "float64"):
        assert x.dtype == np.float64
    assert np.array_equal(x.numpy(), BATCHES[-1][1])
    integers = [(0, np.arange(6).reshape(2, 3))]
    assert next(ahead(integers, "cuda:0", "float32"))[1].dtype == np.float32


def test_the_next_batch_is_under_way_when_one_is_handed_out():
    asked = []
    source = (asked.append(key) or (key, x) for key, x in BATCHES)
    for key, _ in ahead(source, "cuda:0", "float32"):
        assert asked[-1] == min(key + 1, 6)


def test_on_the_cpu_nothing_is_done_and_nothing_is_asked_for_early():
    asked = []
    source = (asked.append(key) or (key, x) for key, x in BATCHES)
    for key, x in ahead(source, "cpu", "float32"):
        assert x is BATCHES[key][1]
        assert asked[-1] == key


def test_arrays_of_growing_size_get_larger_buffers():
    growing = [(n, np.full((n, 5), n, np.float32)) for n in (1, 4, 2, 9, 0, 3)]
    for n, x in ahead(growing, "cuda:0", "float32"):
        assert x.shape == (n, 5)
        assert np.all(x.numpy() == n)


def test_a_reader_that_stops_early_leaves_no_copy_under_way(monkeypatch, pretended_gpu):
    streams = []
    true = stand_in.Stream.__init__
    monkeypatch.setattr(stand_in.Stream, "__init__", lambda self, **o: (streams.append(self), true(self, **o))[1])
    reader = ahead(iter(BATCHES), "cuda:0", "float32")
    next(reader)
    (stream,) = streams
    assert stream._done == 1
    assert len(stream._work) == 2
    reader.close()
    assert stream._done == 2


def test_the_waits_are_needed(monkeypatch, pretended_gpu):
    """Without them the stand-in shows numbers that are not there yet, so the tests above can fail."""
    monkeypatch.setattr(uploads._Upload, "arrived", lambda self, array, copied: Tensor(array))
    found = [x.numpy().copy() for _, x in ahead(iter(BATCHES[:3]), "cuda:0", "float32")]
    assert np.isnan(found[0]).all()


def test_a_buffer_is_not_written_over_before_its_copy_is_done(monkeypatch, pretended_gpu):
    monkeypatch.setattr(stand_in.Event, "synchronize", lambda self: None)
    kept = list(ahead(iter(BATCHES), "cuda:0", "float32"))  # copies land at the very end, out of buffers used again
    assert not all(np.array_equal(x.numpy(), y) for (_, x), (_, y) in zip(kept, BATCHES, strict=True))


def test_a_failure_in_the_source_is_the_readers():
    def source():
        yield BATCHES[0]
        raise ValueError("a picture")

    with pytest.raises(ValueError, match="a picture"):
        list(ahead(source(), "cuda:0", "float32"))
