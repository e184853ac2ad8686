"""Names of classes that people cannot tell apart are refused, both of them named."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitl import data
from minitl.data import Dataset
from minitl.data.labels import folded, require_unlike
from minitl.errors import ArgumentError, DataError

PICTURES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8)


def photos(root, *folders):
    for k, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(PICTURES[2 * k + i]).save(root / folder / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("one", "other", "by"),
    [
        ("Ants", "ants", "case"),
        ("ants", "ants ", "the space around them"),
        (" ants", "ants\u00a0", "the space around them"),
        ("ants", "an\u200bts\u200f", "characters that show nothing"),
        ("caf\u00e9", "cafe\u0301", "how their accents are composed"),
        ("Stra\u00dfe", "STRASSE", "case"),
        ("Ants", "ants ", "case, space around them or"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_class_folders_that_differ_by_a_slip(tmp_path, one, other, by, split):
    if split:
        photos(tmp_path, f"train/{one}", "train/bees", f"val/{other}", "val/bees")
    else:
        photos(tmp_path, one, other, "bees")
    with pytest.raises(DataError, match=f"differ only by {by}.*; put the pictures of both into one folder") as caught:
        data.folder(tmp_path)
    for part in (str(tmp_path), repr(one), repr(other)):
        assert part in str(caught.value)


def test_names_that_differ_by_case_serve_where_they_are_listed(tmp_path):
    photos(tmp_path, "Cardigan", "cardigan")
    assert data.folder(tmp_path, classes=["cardigan", "Cardigan"], val=0.5).classes == ("cardigan", "Cardigan")
    data.arrays(PICTURES, [0, 1] * 4, classes=["cardigan", "Cardigan"])


@pytest.mark.parametrize(("one", "other"), [("ants", "ants "), ("caf\u00e9", "cafe\u0301")])
def test_names_that_look_the_same_never_serve(one, other):
    with pytest.raises(DataError, match=r"classes: .* differ only by .*; give each class a name of its own"):
        Dataset((one, other), (), ())
    with pytest.raises(DataError, match="differ only by"):
        data.arrays(PICTURES, [0, 1] * 4, classes=[one, other])


def test_a_class_that_a_folder_nearly_names_is_told(tmp_path):
    photos(tmp_path, "Ants", "bees")
    with pytest.raises(DataError, match=r"folder Ants is none of the classes ants, bees \('Ants' is nearly 'ants'\)"):
        data.folder(tmp_path, classes=["ants", "bees"])


@given(st.text(max_size=12), st.sampled_from(["NFC", "NFD"]), st.sampled_from(["", " ", "\t "]))
def test_spellings_of_one_name_fold_into_one(name, form, space):
    spelled = space + unicodedata.normalize(form, name) + space
    assert folded(spelled, case=True) == folded(name, case=True)
    for kind in (str.upper, str.lower, str.casefold):
        if kind(name).casefold() == name.casefold():  # Turkish dotless i and its like have no way back
            assert folded(kind(spelled)) == folded(name)


@given(st.lists(st.text(max_size=3), max_size=8))
def test_refused_are_exactly_names_that_fold_into_one(names):
    alike = any(a != b and folded(a) == folded(b) for a in names for b in names)
    try:
        require_unlike("here", names, "remedy")
        refused = False
    except DataError:
        refused = True
    assert refused == alike


def test_joiners_make_names_different():
    assert folded("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647") != folded("\u0645\u06cc\u062e\u0648\u0627\u0647")
    assert folded("\U0001f468\u200d\U0001f33e") != folded("\U0001f468\U0001f33e")


@pytest.mark.parametrize(
    "classes", ["ab", b"ab", 2, [None, "a"], [b"a", b"b"], [["a"], "b"], [0.0, 1.0], [True, False]]
)
def test_classes_that_are_no_list_of_names(tmp_path, classes):
    photos(tmp_path, "a", "b")
    table = tmp_path / "t.csv"
    table.write_text("file,label\n" + "".join(f"{c}/{i}.png,{c}\n" for c in "ab" for i in range(2)))
    for read in (
        lambda: data.folder(tmp_path, classes=classes),
        lambda: data.csv(table, classes=classes),
        lambda: data.arrays(PICTURES, [0, 1] * 4, classes=classes),
    ):
        with pytest.raises(ArgumentError, match=r"^classes"):
            read()


def test_whole_numbers_serve_as_names(tmp_path):
    photos(tmp_path, "0", "1")
    assert data.folder(tmp_path, classes=[1, np.int64(0)], val=0.5).classes == ("1", "0")
    with pytest.raises(DataError, match="None is not valid text"):
        Dataset((None, "a"), (), ())
