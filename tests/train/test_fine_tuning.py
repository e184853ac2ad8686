"""Fine-tuning on photographs: the fast kernels lead where the plain ones do, step after step."""

import dataclasses

import numpy as np
import pytest

from minitl import Trainer, data, kernels, transfer
from minitl.weights import convert

SEEDS = range(3)


def fine_tuned(base, photos, path):
    """The validation losses of each epoch, for each seed; the last convolution and the head learn."""
    losses, values = [], None
    for seed in SEEDS:
        net = transfer.replace_head(base, photos.classes, seed=seed).freeze_backbone().unfreeze("conv5")
        trainer = Trainer(net, photos, lr=1e-3, batch_size=16, seed=seed, progress=False)
        if values is not None:  # the frozen layers are the same: computed once for all seeds
            trainer.values._kept, trainer.values._made_by = values
        with kernels.using(path) if path else kernels.using():
            history = trainer.fit(2)
        values = trainer.values._kept, trainer.values._made_by
        losses.append([row["val_loss"] for row in history])
    return np.array(losses)


def test_fast_kernels_end_where_the_reference_does(data_root):
    """AlexNet's last convolution learns with the head: what the kernels change is nothing beside what a seed does."""
    pytest.importorskip("numba", reason="the cpu versions need Numba, which is not installed")
    base = transfer.from_foreign(convert.read(data_root / "weights" / "alexnet_features_torchvision.h5"))
    found = data.folder(data_root / "hymenoptera")
    photos = dataclasses.replace(found, train=found.train[::8], val=found.val[::8])
    fast, plain = fine_tuned(base, photos, None), fine_tuned(base, photos, "reference")
    spread = plain.std(0)
    assert (np.diff(plain) < 0).all()  # it learns
    assert (np.abs(fast - plain) < spread / 100).all()
