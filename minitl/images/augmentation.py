"""Augmentation: random changes of a training picture that leave it what it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ArgumentError
from . import changes
from .checks import is_number, one_of, require_keys, require_picture

FILLS = ("replicate", "mean", "black")
WHAT = "augmentation"


@dataclass(frozen=True)
class Augmentation:
    """Random changes, made in the order below, of a picture that keeps its size; all are off unless asked for.

    rotate: by up to so many degrees either way (0 to 180), bilinear.
    crop: (least, most) share of the area that is cut out and drawn out to the size of the whole (Szegedy et al. 2015,
    "Going deeper with convolutions"; torchvision's RandomResizedCrop). ratio: (least, most) factor by which this
    changes the aspect; for a square picture, torchvision's ratio.
    pad: pixels (a whole number) or share of the side (below 1) that are added all round before a crop of the old size
    (He et al. 2015 for CIFAR; torchvision's RandomCrop with padding). Not together with crop.
    fill: what rotate and pad show beyond the border: "replicate" (its nearest pixel), "mean" (the picture's) or
    "black".
    flip, vertical_flip: probability of swapping left and right, top and bottom.
    brightness, contrast, saturation: each by a factor from 1 - value to 1 + value (0 to 1); hue: by up to that part
    of the colour circle either way (0 to 0.5). torchvision's ColorJitter, in an order that is drawn too.
    erase: probability of covering a rectangle with random pixels (Zhong et al. 2020, "Random erasing data
    augmentation"); erase_scale: its share of the area; erase_ratio: its aspect relative to the picture's.

    Raises ArgumentError, naming the setting, on values outside these domains.
    """

    rotate: float = 0.0
    crop: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    pad: float = 0
    fill: str = "replicate"
    flip: float = 0.0
    vertical_flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    erase: float = 0.0
    erase_scale: tuple[float, float] = (0.02, 0.33)
    erase_ratio: tuple[float, float] = (0.3, 3.3)

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most:
                raise ArgumentError(f"{WHAT}: {name} must be a number from 0 to {most:g}; got {value!r}")
        one_of(WHAT, "fill", self.fill, FILLS)
        if self.crop is not None:
            self._set_range("crop", 1.0)
        self._set_range("erase_scale", 1.0)
        self._set_range("ratio", 100.0, 0.01)
        self._set_range("erase_ratio", 100.0, 0.01)
        if not is_number(self.pad) or self.pad < 0 or self.pad > 65535 or (self.pad > 1 and self.pad % 1):
            raise ArgumentError(
                f"{WHAT}: pad must be a whole number of pixels, or a share of the side below 1; got {self.pad!r}"
            )
        if self.pad and self.crop is not None:
            raise ArgumentError(
                f"{WHAT}: crop={self.crop} and pad={self.pad!r} both choose what is seen; give one of them"
            )

    def _set_range(self, name: str, highest: float, lowest: float = 0.0) -> None:
        value = getattr(self, name)
        pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_number, value))
        if not pair or not lowest <= value[0] <= value[1] <= highest or value[0] <= 0:
            bounds = f"from {lowest:g} to" if lowest else "above 0 and up to"
            raise ArgumentError(f"{WHAT}: {name} must be (least, most), {bounds} {highest:g}; got {value!r:.60}")
        object.__setattr__(self, name, (float(value[0]), float(value[1])))

    @classmethod
    def preset(cls, name: str) -> Augmentation:
        """The settings in PRESETS under that name; ArgumentError if there are none."""
        one_of(WHAT, "the preset", name, PRESETS)
        return PRESETS[name]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Augmentation:
        """The augmentation that `to_dict` describes; what is left out is off. ArgumentError on unknown keys."""
        require_keys(WHAT, values, set(cls.__dataclass_fields__))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def __call__(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`picture` (H, W, 3) uint8 RGB, changed as `rng` has it: a new array of the same kind.

        The same generator state gives the same bits. Raises DataError on what is no such picture.
        """
        image = Image.fromarray(require_picture(WHAT, picture))
        if self.rotate:
            image = changes.rotated(image, rng.uniform(-self.rotate, self.rotate), self.fill)
        if self.crop is not None:
            image = changes.resized_crop(rng, image, self.crop, self.ratio)
        if self.pad:
            image = changes.moved(rng, image, self._padding(image.size), self.fill)
        if self.flip and rng.random() < self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.vertical_flip and rng.random() < self.vertical_flip:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        image = self._coloured(image, rng)
        if self.erase and rng.random() < self.erase:
            image = changes.erased(rng, image, self.erase_scale, self.erase_ratio)
        return np.array(image)

    def _padding(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.pad >= 1:
            return int(self.pad), int(self.pad)
        return math.floor(self.pad * size[0] + 0.5), math.floor(self.pad * size[1] + 0.5)

    def _coloured(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            return image
        for i in rng.permutation(len(_COLOURS)):
            name, change, middle = _COLOURS[i]
            most = getattr(self, name)
            if most:
                image = change(image, rng.uniform(middle - most, middle + most))
        return image

    def describe(self) -> str:
        """What is on, for people to read: "crop 0.5 to 1, flip 0.5"; "nothing" where all is off."""
        standard = type(self)()
        parts = []
        for name, value in asdict(self).items():
            owners = _BELONGS.get(name, (name,))
            if value == getattr(standard, name) or not any(getattr(self, owner) for owner in owners):
                continue
            shown = f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else value
            parts.append(f"{name} {shown if isinstance(shown, str) else format(shown, 'g')}")
        return ", ".join(parts) or "nothing"


_MOST = {
    "rotate": 180.0,
    "flip": 1.0,
    "vertical_flip": 1.0,
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.5,
    "erase": 1.0,
}
_COLOURS = (
    ("brightness", changes.brightness, 1.0),
    ("contrast", changes.contrast, 1.0),
    ("saturation", changes.saturation, 1.0),
    ("hue", changes.hue, 0.0),
)
_BELONGS = {  # settings that say nothing without one of these
    "ratio": ("crop",),
    "fill": ("rotate", "pad"),
    "erase_scale": ("erase",),
    "erase_ratio": ("erase",),
}

PRESETS = {
    # photographs of things that look the same from the left and from the right
    "photos": Augmentation(crop=(0.5, 1.0), flip=0.5, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02),
    # small pictures, after the recipe for CIFAR (He et al. 2015)
    "small": Augmentation(pad=4, fill="black", flip=0.5),
    # digits and letters, which mirrored would be others
    "digits": Augmentation(rotate=10.0, pad=0.07),
}
