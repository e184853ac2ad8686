"""The random numbers of dropout against the known answers that come with Random123 (Salmon et al., 2011)."""

import numpy as np
import pytest

from minitl.kernels.dropout import oracle, reference

# counter, key, answer: the file kat_vectors of Random123, philox 4x32 with 10 rounds.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter, key, answer):
    assert oracle.philox(counter, key) == answer
    words = [np.array([c], np.uint64) for c in counter], [np.array([k], np.uint64) for k in key]
    assert tuple(int(lane[0]) for lane in reference.philox(*words)) == answer
