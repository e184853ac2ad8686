"""Reports: one self-contained page, its pictures and numbers as files, and the weights."""

from . import canvas  # noqa: F401  first, for how it imports matplotlib
from .plots import confusion_plot, curves_plot
from .preview import write_preview
from .write import write_report

__all__ = ["confusion_plot", "curves_plot", "write_preview", "write_report"]
