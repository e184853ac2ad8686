"""Settings that all tests share: how many cases hypothesis draws, and where real data lies."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# HYPOTHESIS_PROFILE=deep pytest   draws more than ten times as many cases.
for _profile, _examples in {"quick": 16, "deep": 250}.items():
    settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,
        derandomize=False,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


# A shell starts what runs in the background deaf to Ctrl-C, and so would be the tests of what Ctrl-C does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real pictures and weights, named by MINITL_DATA; tests that need it skip without it."""
    root = os.environ.get("MINITL_DATA")
    if not root:
        pytest.skip("needs real data: set MINITL_DATA to the folder that holds it")
    if not Path(root).is_dir():
        pytest.skip(f"needs real data: MINITL_DATA={root} is no folder")
    return Path(root)
