"""The page of a report: one HTML file that needs no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ..data import Dataset, Item
from .thumbnails import data_uri, thumbnail

MOST_PICTURES = 60  # thumbnails embedded; further mistakes are listed without
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; }
body { max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p.lead { color: #52616b; margin-top: 0; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #e3e8ec; }
th { font-weight: 600; color: #52616b; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.figures { display: flex; flex-wrap: wrap; gap: 2rem; margin: 1.25rem 0; }
.figures div b { display: block; font-size: 1.7rem; } .figures div { color: #52616b; }
.figures b { color: #22303c; }
img.plot { max-width: 100%; height: auto; }
.wrong { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: 1.25rem 1rem; }
.wrong figure { margin: 0; } .wrong img { max-width: 100%; height: 9rem; object-fit: contain; object-position: left; }
.wrong figcaption { font-size: .82rem; overflow-wrap: anywhere; color: #52616b; } .wrong b { color: #22303c; }
summary { cursor: pointer; color: #1565a7; } .scroll { overflow-x: auto; } code { font-size: .9em; }
"""


def page(
    result: Mapping[str, Any],
    plots: Mapping[str, bytes],
    *,
    name: str = "",
    data: Dataset | None = None,
    plan: Iterable[Any] = (),
    settings: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The whole page. result: what `evaluate` returns. plots: PNG by name ("curves", "confusion")."""
    title = f"{name or 'classifier'}: {len(result['per_class'])} classes"
    body = [f"<h1>{escape(title)}</h1>", _lead(result, bool(history)), _figures(result)]
    if "curves" in plots:
        body += ["<h2>Training</h2>", _image(plots["curves"], "loss and accuracy by epoch")]
    body += ["<h2>Classes</h2>", _per_class(result), _image(plots["confusion"], "truth against answer")]
    body += [_mistakes(result, data)]
    if data is not None:
        body += ["<h2>Data</h2>", _data(data)]
    set_aside = [*(data.skipped if data is not None else ()), *result["skipped"]]
    if set_aside:
        rows = [[path, reason] for path, reason in set_aside]
        body.append(_folded(f"{len(rows)} set aside", _table(["file", "reason"], rows)))
    plan = list(plan)
    if plan:
        body += ["<h2>Plan</h2>", _plan(plan)]
    if settings:
        rows = [[key.replace("_", " "), _shown(value)] for key, value in settings.items()]
        body.append(_folded("settings", _table(["setting", "value"], rows)))
    if history:
        body.append(_folded("epochs", _epochs(history)))
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + ("\n</body></html>\n")
    )


def _lead(result: Mapping[str, Any], trained: bool) -> str:
    split = {"val": "validation", "train": "training"}[result["split"]]
    chosen = " The epoch was chosen on these pictures, so expect a little less on new ones." if trained else ""
    return f"<p class='lead'>How it answers on the {result['pictures']} {split} pictures.{chosen}</p>"


def _figures(result: Mapping[str, Any]) -> str:
    wrong = sum(p["truth"] != p["prediction"] for p in result["predictions"])
    figures = [
        (f"{result['accuracy']:.1%}", f"right ({result['pictures'] - wrong} of {result['pictures']})"),
        (f"{result['majority_baseline']:.1%}", "if always the most frequent class"),
        (f"{result['loss']:.3f}", "cross-entropy (nats)"),
    ]
    return "<div class='figures'>" + "".join(f"<div><b>{a}</b>{b}</div>" for a, b in figures) + "</div>"


def _per_class(result: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{row['precision']:.1%}", f"{row['recall']:.1%}", f"{row['f1']:.3f}", str(row["support"])]
        for name, row in result["per_class"].items()
    ]
    return _table(["class", "precision", "recall", "F1", "pictures"], rows, numbers_from=1)


def _mistakes(result: Mapping[str, Any], data: Dataset | None) -> str:
    wrong = [p for p in result["predictions"] if p["truth"] != p["prediction"]]
    if not wrong:
        return "<h2>Wrong answers</h2><p>None.</p>"
    wrong.sort(key=lambda p: (-p["probability"], p["path"]))
    items = {} if data is None else {item.name: item for item in data.split(result["split"])}
    shown = [_mistake(p, items.get(p["path"])) for p in wrong[:MOST_PICTURES]]
    parts = [f"<h2>Wrong answers ({len(wrong)}), the surest first</h2><div class='wrong'>{''.join(shown)}</div>"]
    if len(wrong) > MOST_PICTURES:
        rows = [[p["path"], p["truth"], p["prediction"], f"{p['probability']:.1%}"] for p in wrong[MOST_PICTURES:]]
        table = _table(["picture", "truth", "answer", "probability"], rows)
        parts.append(_folded(f"{len(rows)} more", table))
    return "".join(parts)


def _mistake(prediction: Mapping[str, Any], item: Item | None) -> str:
    uri = None if item is None else thumbnail(item)
    path = escape(prediction["path"])
    image = f"<img src='{uri}' alt='{path}'>" if uri else ""
    return (
        f"<figure>{image}<figcaption>answered <b>{escape(prediction['prediction'])}</b> "
        f"({prediction['probability']:.1%}), is <b>{escape(prediction['truth'])}</b><br>{path}</figcaption></figure>"
    )


def _data(data: Dataset) -> str:
    train, val = data.counts("train"), data.counts("val")
    rows = [[name, str(train[name]), str(val[name])] for name in data.classes]
    rows.append(["all", str(len(data.train)), str(len(data.val))])
    where = "" if data.root is None else f"<p class='lead'><code>{escape(str(data.root))}</code></p>"
    return where + _table(["class", "training", "validation"], rows, numbers_from=1)


def _plan(plan: Sequence[Any]) -> str:
    trained, frozen = (sum(row.size for row in plan if row.frozen is state) for state in (False, True))
    rows = [
        [
            row.name,
            " × ".join(map(str, row.shape)),
            f"{row.size:,}",
            "frozen" if row.frozen else f"{row.rate:.3g}",
            row.source,
        ]
        for row in plan
    ]
    table = _table(["parameter", "shape", "numbers", "rate", "from"], rows)
    return f"<p>{trained:,} numbers trained, {frozen:,} frozen.</p>" + _folded("every parameter", table)


def _epochs(history: Sequence[Mapping[str, Any]]) -> str:
    columns = [name for name in history[0] if name != "seconds"]
    rows = [[_shown(row.get(name)) for name in columns] for row in history]
    return _table([name.replace("_", " ") for name in columns], rows, numbers_from=0)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 99) -> str:
    """A table; columns from `numbers_from` on are aligned as numbers. Every cell is escaped."""

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (f"<{tag}{' class=n' * (i >= numbers_from)}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    return f"<div class='scroll'><table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table></div>"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _image(png: bytes, text: str) -> str:
    return f"<p><img class='plot' src='{data_uri(png, 'png')}' alt='{escape(text)}'></p>"
