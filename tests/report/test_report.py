"""Reports: whole, self-contained, escaped, and written all or nothing."""

import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import minitl as tl
from minitl import data, nn
from minitl.errors import ArgumentError, DataError
from minitl.images import Preprocessing
from minitl.report import confusion_plot, curves_plot, write_report
from minitl.train import Trainer, evaluate

NASTY = ["<script>alert(1)</script>", 'a$_b^$ & "c" 蜂']
FILES = {"report.html", "curves.png", "confusion.png", "metrics.json", "weights.h5"}


def trained(classes=NASTY, epochs=2, **settings):
    rng = np.random.default_rng(0)
    found = data.arrays(rng.integers(0, 256, (24, 8, 8, 3), np.uint8), np.arange(24) % len(classes), classes, val=0.5)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(192, len(classes)), input_shape=(3, 8, 8), preprocessing=Preprocessing()
    )
    trainer = Trainer(net, found, progress=False, **settings)
    if epochs:
        trainer.fit(epochs)
    return trainer


@pytest.fixture(scope="module")
def trainer():
    return trained()


class Tags(HTMLParser):
    """Tags open and close in pairs; nothing is fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def test_all_files_are_written_and_agree(trainer, tmp_path):
    written = write_report(trainer, tmp_path / "deep" / "run")
    assert {path.name for path in written} == FILES == set(os.listdir(tmp_path / "deep" / "run"))
    numbers = json.loads((tmp_path / "deep/run/metrics.json").read_text())
    result = trainer.evaluate()
    assert numbers["evaluation"]["accuracy"] == result["accuracy"]
    assert numbers["evaluation"]["predictions"] == result["predictions"]
    assert [row["epoch"] for row in numbers["history"]] == [1, 2]
    assert numbers["settings"]["lr"] == trainer.lr
    again = tl.load(tmp_path / "deep/run/weights.h5")
    assert evaluate(again, trainer.data) == result
    for name in ("curves.png", "confusion.png"):
        with Image.open(tmp_path / "deep/run" / name) as picture:
            assert min(picture.size) > 300


def test_the_page_stands_alone_and_escapes_names(trainer, tmp_path):
    write_report(trainer, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Tags(text)
    assert page.open == []
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "<script" not in text
    assert all(name in page.text for name in NASTY)
    wrong = [p for p in trainer.evaluate()["predictions"] if p["truth"] != p["prediction"]]
    assert wrong
    assert all(p["path"] in page.text for p in wrong)
    assert text.count("data:image/jpeg") == len(wrong)
    assert f"{trainer.net.plan().trained:,} numbers trained" in page.text


def test_a_second_report_takes_the_place_of_the_first(trainer, tmp_path):
    write_report(trainer, tmp_path)
    (tmp_path / "report.html").write_text("old")
    write_report(trainer, tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert set(os.listdir(tmp_path)) == FILES


def test_a_result_alone_is_reported_too(trainer, tmp_path):
    result = trainer.evaluate()
    write_report(result, tmp_path / "bare")
    assert set(os.listdir(tmp_path / "bare")) == {"report.html", "confusion.png", "metrics.json"}
    assert "data:image/jpeg" not in (tmp_path / "bare/report.html").read_text(encoding="utf-8")
    write_report(result, tmp_path / "pictures", data=trainer.data)
    assert "data:image/jpeg" in (tmp_path / "pictures/report.html").read_text(encoding="utf-8")
    with pytest.raises(ArgumentError, match="got str"):
        write_report("run/", tmp_path)


def test_before_any_training(tmp_path):
    write_report(trained(epochs=0), tmp_path)
    assert set(os.listdir(tmp_path)) == FILES - {"curves.png"}


def test_no_number_becomes_null(trainer, tmp_path):
    result = trainer.evaluate() | {"loss": float("nan")}
    write_report(result, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["evaluation"]["loss"] is None


def test_a_picture_that_has_gone_is_still_named(trainer, tmp_path):
    gone = [data.Item(item.name, item.label, tmp_path / "gone.png") for item in trainer.data.val]
    without = data.Dataset(trainer.data.classes, (), tuple(gone))
    write_report(trainer.evaluate(), tmp_path, data=without)
    assert "data:image/jpeg" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_where_nothing_can_be_written(trainer, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"report: .*file.*choose another path") as caught:
        write_report(trainer, tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("full_at", ["weights.h5", "confusion.png", "report.html"])
def test_a_full_disk_leaves_nothing_half_written(trainer, tmp_path, monkeypatch, full_at):
    import errno

    plain = os.replace

    def full(source, target):
        if str(target).endswith(full_at):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=rf"report: .*{re.escape(full_at)}.*disk is full") as caught:
        write_report(trainer, tmp_path / "run")
    assert "\n" not in str(caught.value)
    left = set(os.listdir(tmp_path / "run")) if (tmp_path / "run").exists() else set()
    assert left < FILES
    assert full_at not in left
    if full_at == "weights.h5":
        assert not (tmp_path / "run").exists()


def test_plots_touch_no_global_state(trainer):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    confusion_plot([[3, 1], [0, 4]], NASTY)
    curves_plot(trainer.history, 0.5)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("count", [2, 7, 25, 60])
def test_confusion_of_any_size(count):
    matrix = np.eye(count, dtype=int)
    matrix[0] = 0  # a class without pictures
    png = confusion_plot(matrix.tolist(), [f"class number {i}" for i in range(count)])
    with Image.open(io.BytesIO(png)) as picture:
        assert max(picture.size) < 4000


def test_what_augmentation_did_is_shown(tmp_path):
    written = write_report(trained(augmentation="small"), tmp_path)
    assert {path.name for path in written} == FILES | {"augmentation.png"}
    with Image.open(tmp_path / "augmentation.png") as picture:
        assert picture.format == "PNG"
