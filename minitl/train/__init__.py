"""Training and evaluation: Trainer, evaluate, and the default learning rate."""

from .evaluation import evaluate
from .rate import measured_rate
from .trainer import History, Trainer

__all__ = ["History", "Trainer", "evaluate", "measured_rate"]
