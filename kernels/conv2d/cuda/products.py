"""How convolutions become matrix products for tensor cores: their sizes, and which calls they serve. Plain Python."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ...cuda.gemm import Plan, float32_only
from ...geometry import ConvGeometry

MOST_OF_A_PICTURE = 2**31 - 1  # numbers: within a picture, places are counted in 32 bits


def forward(g: ConvGeometry) -> Plan:
    """Output pixels by a group's filters; the depth is that of a window."""
    return Plan.of(g.batch * math.prod(g.output), g.out_channels // g.groups, g.depth, g.groups)


def bordered(g: ConvGeometry) -> ConvGeometry:
    """For the gradient of the input: where padding repeats the border, a picture that has the border as part of it.

    The gradient of that one is computed, then folded. With zeros for padding, the same geometry.
    """
    if g.padding_mode == "zeros":
        return g
    h, w = (n + sum(around) for n, around in zip(g.size, g.padding, strict=True))
    return replace(g, size=(h, w), padding=((0, 0), (0, 0)), padding_mode="zeros")


def grad_input(g: ConvGeometry) -> Plan:
    """Input pixels by a group's channels; the depth is every tap of a group's filters."""
    depth = math.prod(g.kernel) * (g.out_channels // g.groups)
    return Plan.of(g.batch * math.prod(bordered(g).size), g.in_channels // g.groups, depth, g.groups)


def grad_weight(g: ConvGeometry) -> Plan:
    """A group's filters by the depth of a window; the depth of the product is every output pixel."""
    return Plan.of(g.out_channels // g.groups, g.depth, g.batch * math.prod(g.output), g.groups)


def _serves(plan: Plan, g: ConvGeometry, *arrays: Any) -> str | None:
    channels, filters = g.in_channels // g.groups, g.out_channels // g.groups
    if g.groups > 4 and min(channels, filters) < 8:
        return f"{g.groups} groups of {channels} channels and {filters} filters leave most of its tiles empty"
    inside, outside = (math.prod(shape) for shape in (bordered(g).x_shape[1:], g.y_shape[1:]))
    if max(inside, outside) > MOST_OF_A_PICTURE:
        return f"a picture of {max(inside, outside)} numbers is more than it counts to ({MOST_OF_A_PICTURE})"
    return float32_only(*arrays) or plan.refusal()


def forward_serves(x: Any, w: Any, geometry: ConvGeometry, **_: Any) -> str | None:
    """Why tensor cores cannot take a call, or do it worse than others; or None."""
    return _serves(forward(geometry), geometry, x)


def grad_input_serves(grad: Any, w: Any, geometry: ConvGeometry, **_: Any) -> str | None:
    """The same for the gradient of the input."""
    return _serves(grad_input(geometry), geometry, grad)


def grad_weight_serves(grad: Any, x: Any, geometry: ConvGeometry) -> str | None:
    """The same for the gradient of the weights."""
    return _serves(grad_weight(geometry), geometry, grad)


def forward_workspace(geometry: ConvGeometry, **_: Any) -> int:
    """Bytes of the weights in another order, and of the parts of a product that several blocks share."""
    return 4 * math.prod(geometry.w_shape) + forward(geometry).workspace


def grad_input_workspace(geometry: ConvGeometry, **_: Any) -> int:
    """The same for the gradient of the input, and that of a picture with its border."""
    border = 0 if bordered(geometry) is geometry else 4 * math.prod(bordered(geometry).x_shape)
    return 4 * math.prod(geometry.w_shape) + grad_input(geometry).workspace + border


def grad_weight_workspace(geometry: ConvGeometry, **_: Any) -> int:
    """Bytes of the parts, of which there is always one: the sums are put in order as they are added up."""
    return 4 * math.prod(geometry.w_shape) * grad_weight(geometry).parts
