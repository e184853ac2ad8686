"""Training and evaluation: Trainer, evaluate, and the default learning rate."""

from .evaluation import evaluate
from .history import History
from .rate import measured_rate
from .reopen import reopen
from .trainer import Trainer

__all__ = ["History", "Trainer", "evaluate", "measured_rate", "reopen"]
