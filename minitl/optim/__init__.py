"""Optimizers, schedules, clipping and averages. One base rate; a parameter's own is that times its multiplier.

Frozen parameters are passed over entirely: no decay, no momentum, no state. Freezing takes effect at the
next step, whether it came before or after the optimizer was made.
"""

from .adam import Adam, AdamW
from .average import EMA
from .base import Optimizer
from .clipping import clip_grad_norm, clip_grad_value
from .rmsprop import RMSprop
from .schedules import (
    SCHEDULES,
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
    WarmUp,
    make_schedule,
    plain,
)
from .sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {kind.name: kind for kind in (SGD, Adam, AdamW, RMSprop)}

__all__ = [
    "EMA",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "ConstantSchedule",
    "CosineSchedule",
    "OneCycleSchedule",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepSchedule",
    "WarmUp",
    "clip_grad_norm",
    "clip_grad_value",
    "make_schedule",
    "plain",
]
