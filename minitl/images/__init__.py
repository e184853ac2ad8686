"""Pictures to arrays: decoding whatever a camera or a tool wrote, augmentation, and a network's preprocessing."""

from .augmentation import FILLS, PRESETS, Augmentation
from .decode import EXTENSIONS, FORMATS, MAX_PIXELS, decode, decode_image, require_file
from .preprocessing import CHANNELS, FILTERS, RESIZE_RULES, Preprocessing

__all__ = [
    "CHANNELS",
    "EXTENSIONS",
    "FILLS",
    "FILTERS",
    "FORMATS",
    "MAX_PIXELS",
    "PRESETS",
    "RESIZE_RULES",
    "Augmentation",
    "Preprocessing",
    "decode",
    "decode_image",
    "require_file",
]
