"""Tables of pictures: as people and spreadsheets write them; what is set aside, with its line; what is refused."""

import csv
import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data
from minitl.data.table import Table
from minitl.errors import ArgumentError, DataError


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(10):
        picture(tmp_path / "photos" / f"{i}.png", seed=i)
    return tmp_path


def table(folder, text, encoding="utf-8"):
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(labels="ab", count=10, line="photos/{i}.png,{label}\n"):
    return "".join(line.format(i=i, label=labels[i % len(labels)]) for i in range(count))


def test_pictures_and_labels(folder):
    found = data.csv(table(folder, "file,label\n" + rows()), val=0.4, seed=1)
    assert found.classes == ("a", "b")
    assert (found.counts("train"), found.counts("val")) == ({"a": 3, "b": 3}, {"a": 2, "b": 2})
    assert {item.name for item in found.train + found.val} == {f"photos/{i}.png" for i in range(10)}
    assert all(found.classes[item.label] == "ab"[int(item.name[7])] for item in found.train if int(item.name[7]) < 2)
    assert found.train[0].picture().shape == (7, 9, 3)
    assert (found.skipped, found.root) == ((), folder)


def test_the_split_does_not_depend_on_the_order_of_lines(folder):
    one = data.csv(table(folder, "file,label\n" + rows()), val=0.4)
    lines = rows().splitlines(keepends=True)
    other = data.csv(
        table(folder, "label,file\n" + "".join(",".join(x.strip().split(",")[::-1]) + "\n" for x in lines[::-1])),
        val=0.4,
    )
    assert one == other


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_marks_and_line_ends(folder, delimiter, encoding, end):
    text = f"Filename{delimiter} Class {delimiter}remark\n" + rows(
        line=f"photos/{{i}}.png{delimiter}Ä {{label}},{delimiter}x\n"
    )
    if delimiter == ",":
        text = "Filename,Class,remark\n" + rows(line='photos/{i}.png,"Ä {label},",x\n')
    found = data.csv(table(folder, text.replace("\n", end), encoding))
    assert found.classes == ("Ä a,", "Ä b,")
    assert len(found.train + found.val) == 10


def test_a_delimiter_may_be_given(folder):
    path = table(folder, "file:label\n" + rows(line="photos/{i}.png:{label}\n"))
    assert data.csv(path, delimiter=":").classes == ("a", "b")
    with pytest.raises(DataError, match=r"no picture column .*its columns are 'file:label'"):
        data.csv(path)
    for wrong in ("", "::", 3, '"', "\n"):
        with pytest.raises(ArgumentError, match="delimiter must be one character"):
            data.csv(path, delimiter=wrong)


@pytest.mark.parametrize(
    "header", ["file,label", "image_path,class", "Image,Target", "FILE NAME,Category", "picture,label"]
)
def test_well_known_columns_are_found(folder, header):
    assert len(data.csv(table(folder, f"{header}\n{rows()}")).classes) == 2


def test_columns_may_be_named(folder):
    path = table(folder, "file,label,kind,where\n" + rows(line="none.png,x,{label},photos/{i}.png\n"))
    found = data.csv(path, picture="where", label="kind")
    assert found.classes == ("a", "b")
    with pytest.raises(
        DataError, match=r"has no column 'sort'; its columns are 'file', 'label', 'kind', 'where'; .*label="
    ):
        data.csv(path, label="sort")


def test_numbers_are_text(folder):
    assert data.csv(table(folder, "file,label\n" + rows(["01", "1.0", "-2"]))).classes == ("-2", "01", "1.0")


def test_paths_of_windows_of_elsewhere_and_with_idle_parts(folder):
    (folder / "tables").mkdir()
    lines = ["..\\photos\\0.png,a", f"{folder}/photos/1.png,a", "./../photos//2.png,b", '"..\\photos/3.png",b']
    path = table(folder / "tables", "file,label\n" + "\n".join(lines))
    found = data.csv(path, val=0.5)
    assert {item.name for item in found.train + found.val} == {
        "../photos/0.png",
        f"{(folder / 'photos/1.png').as_posix()}",
        "../photos/2.png",
        "../photos/3.png",
    }
    assert all(item.picture().shape == (7, 9, 3) for item in found.train + found.val)


def test_paths_may_be_relative_to_another_folder(folder):
    (folder / "tables").mkdir()
    path = table(folder / "tables", "file,label\n" + rows(line="{i}.png,{label}\n"))
    found = data.csv(path, root=folder / "photos")
    assert found.root == folder / "photos"
    assert len(found.train + found.val) == 10
    with pytest.raises(DataError, match=r"none of the 10 pictures .*tables/0.png; .*root=") as caught:
        data.csv(path)
    assert "\n" not in str(caught.value)


def test_a_split_column_is_followed(folder):
    parts = ["train", "TRAINING", "val ", "valid", "Validation", "train", "test", "train", "validation", "test"]
    text = "file,label,split\n" + "".join(f"photos/{i}.png,{'ab'[i % 2]},{part}\n" for i, part in enumerate(parts))
    found = data.csv(table(folder, text), val=0.9)
    assert [item.name for item in found.val] == [f"photos/{i}.png" for i in (2, 4, 8, 3)]
    assert [item.name for item in found.train] == [f"photos/{i}.png" for i in (0, 1, 5, 7)]
    assert found.skipped == (("labels.csv", "its test part is left out (2 pictures)"),)
    other = data.csv(table(folder, text.replace("split", "part")), split="part")
    assert other == found
    assert len(data.csv(table(folder, text.replace("split", "part"))).val) == 2


def test_a_split_column_may_name_pictures_to_evaluate_alone(folder):
    text = "file,label,split\n" + rows(line="photos/{i}.png,{label},val\n")
    assert len(data.csv(table(folder, text), val=1).val) == 10
    with pytest.raises(DataError, match="column 'split' names val pictures, but no train pictures"):
        data.csv(table(folder, text))


def test_what_is_of_no_use_is_set_aside_with_its_line(folder):
    (folder / "photos" / "cut.png").write_bytes(b"\x89PNG")
    extra = [
        "photos/none.png,a",  # line 12
        "photos/cut.png,a",
        "photos/0.png,a",
        "./photos/1.png,a",
        ",a",
        '"photos/8.png","  "',
        "photos/9.png",
        "",
        "photos/long.png," + "x" * 300,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = data.csv(
            table(folder, "file,label\n" + rows(count=8) + "\n" * 2 + "\n".join(extra)),
            classes=["a", "b", "x" * 300],
            val=1,
        )
    assert {item.name for item in found.val} == {f"photos/{i}.png" for i in (0, 2, 3, 4, 5, 6, 7)}
    reasons = dict(found.skipped)
    assert set(reasons) == {
        "photos/none.png",
        "photos/cut.png",
        "photos/0.png",
        "photos/1.png",
        "line 16",
        "photos/8.png",
        "photos/9.png",
        "photos/long.png",
    }
    assert reasons["photos/0.png"] == "line 14 repeats line 2; the first counts"
    assert reasons["photos/1.png"] == "has 2 labels: 'b' (line 3), 'a' (line 15)"
    assert reasons["photos/8.png"] == "line 17 gives it no label"
    assert reasons["photos/9.png"] == "line 18 gives it no label"
    assert reasons["line 16"] == "names no picture"
    assert "No such file" in reasons["photos/none.png"]


def test_a_picture_in_two_splits_counts_once(folder):
    text = "file,label,split\n" + rows(count=8, line="photos/{i}.png,{label},train\n")
    text += "photos/8.png,a,val\nphotos/9.png,b,val\nphotos/0.png,a,val\n"
    found = data.csv(table(folder, text))
    assert len(found.val) == 2
    assert found.skipped == (("photos/0.png", "line 12 repeats line 2, though as val; the first counts"),)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["Ants", "ants"], "'Ants' and 'ants' differ only by case; write them alike"),
        (["ants", "ants "], "'ants' and 'ants ' differ only by the space around them"),
        (["Ämeise", "A\u0308meise"], "differ only by how their accents are composed"),
        (["Bees ", "bees", "wasps"], "'Bees ' and 'bees' differ only by case, space"),
        (["a"], "one class only .'a'."),
    ],
)
def test_labels_that_are_slips_are_refused(folder, labels, words):
    path = table(folder, "file,label\n" + rows(labels))
    with pytest.raises(DataError, match=words) as caught:
        data.csv(path)
    assert str(path) in str(caught.value)


def test_classes_may_be_given(folder):
    path = table(folder, "file,label\n" + rows(["Cardigan", "cardigan"]))
    assert data.csv(path, classes=["cardigan", "Cardigan"]).classes == ("cardigan", "Cardigan")
    with pytest.raises(
        DataError, match=r"line 3: label 'cardigan' is none of the classes Cardigan, dog .'cardigan' is nearly"
    ):
        data.csv(path, classes=["Cardigan", "dog"])
    with pytest.raises(DataError, match="class 'dog' has no readable picture to train on"):
        data.csv(path, classes=["cardigan", "Cardigan", "dog"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no picture column .*it is empty; .*header"),
        (b"\n \n", "it is empty"),
        (b"photos/0.png,ant\nphotos/1.png,bee\n", "its columns are 'photos/0.png', 'ant'; .*header"),
        (b"file,file,label\n", "has 2 columns 'file'"),
        (b"file,size\n", "no label column .label, class"),
        (b"file,label\n", "holds no picture that can be read"),
        (b"file,label\nphotos/0.png,\xff\n", "not UTF-8 text; save"),
        ("file,label\nphotos/0.png,ä\n".encode("utf-16"), "not UTF-8 text; save"),
        (b"PK\x03\x04\0\0", "not UTF-8 text; save"),
        (b'file,label\nphotos/0.png,"ant\nphotos/1.png,bee\n', "no CSV table .* quotes"),
        (b"file,label\nphotos/0.png," + b"x" * 200_000, "no CSV table .field larger"),
        (
            b"file,label,split\nphotos/0.png,a,train\nphotos/1.png,a,later\n",
            "line 3: 'later' in column 'split' is no split",
        ),
        (b"file,label,split\nphotos/0.png,a,\n", "line 2: '' in column 'split'"),
        (
            b"file,label\nphotos/0.png,a\nphotos/1.png,b\nphotos/2.png,b\n",
            "class 'a' has no readable picture to validate on .of 1.",
        ),
        (
            b"file,label,split\nphotos/0.png,a,train\nphotos/1.png,b,train\nphotos/2.png,a,val\n",
            "class 'b' has no readable picture to validate on",
        ),
    ],
)
def test_tables_that_teach_nothing_are_refused_in_one_line(folder, content, words):
    path = folder / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        data.csv(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_paths_that_are_no_table(folder):
    with pytest.raises(DataError, match="there is no such file"):
        data.csv(folder / "nothing.csv")
    with pytest.raises(DataError, match="no regular file"):
        data.csv(folder)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(cells=st.lists(st.tuples(CELL, CELL), max_size=12), delimiter=st.sampled_from(",;\t|"), quote=st.booleans())
def test_whatever_a_writer_of_csv_writes_is_read(tmp_path_factory, cells, delimiter, quote):
    folder = tmp_path_factory.mktemp("t")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL)
    writer.writerow(["file", "label"])
    writer.writerows([f"{i}{name}", label] for i, (name, label) in enumerate(cells))
    path = table(folder, text.getvalue())
    found = list(Table(path, None, None, None, delimiter).rows())
    assert [(row.picture, row.label.strip()) for row in found] == [
        (f"{i}{name}".strip(), label.strip()) for i, (name, label) in enumerate(cells)
    ]
    assert list(Table(path, None, None, None, None).rows()) == found


def test_a_class_that_only_contradicted_rows_have_is_not_lost(folder):
    text = "file,label\n" + rows() + "photos/0.png,wasp\nphotos/1.png,wasp\n"
    with pytest.raises(DataError, match="class 'wasp' has no readable picture to train on"):
        data.csv(table(folder, text))


def test_arguments_of_other_types_are_refused(folder):
    with pytest.raises(DataError, match="csv: path must be"):
        data.csv(None)
    with pytest.raises(ArgumentError, match="label must be the name of a column; got 1"):
        data.csv(table(folder, "file,label\n" + rows()), label=1)
