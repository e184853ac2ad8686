"""Matplotlib, imported such that an environment which asks for a backend that is not there does no harm.

Figures are drawn by Agg whatever MPLBACKEND says, but matplotlib itself reads that when it is first imported, and
raises where it does not know the name: at the end of a training, when the plots come.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings

_asked = os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter
finally:
    if _asked is not None:
        os.environ["MPLBACKEND"] = _asked
if _asked:
    with contextlib.suppress(ValueError):
        matplotlib.rcParams["backend"] = _asked  # for the plots of whoever imported us

__all__ = ["Axes", "Figure", "MaxNLocator", "PercentFormatter", "png"]

DPI = 144


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks, a label without room: the picture still serves
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()
