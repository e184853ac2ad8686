"""Weight files by name or path."""

import pytest

from minitl.errors import WeightError
from minitl.weights import names, registry


def test_a_path(tmp_path):
    path = tmp_path / "my weights.h5"
    path.write_bytes(b"x")
    assert registry.find(path) == path
    assert registry.find(str(path)) == path


def test_an_embedded_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    shipped = tmp_path / "embedded" / "small.h5"
    shipped.write_bytes(b"x")
    (tmp_path / "small").write_bytes(b"y")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "EMBEDDED", tmp_path / "embedded")
    assert registry.find("small") == shipped
    assert registry.find("./small").read_bytes() == b"y"
    with pytest.raises(WeightError, match=r"nothing: no such weight file; .*\(small\).*alexnet, vgg16"):
        registry.find("nothing")


def test_known_files_say_where_they_come_from():
    for known in registry.KNOWN:
        assert known.name in names.TABLES
        assert set(known.sha256) <= set("0123456789abcdef")
        with pytest.raises(WeightError, match="minitl convert") as caught:
            registry.find(known.name)
        assert known.source in str(caught.value)
        assert known.sha256 in str(caught.value)  # to check the download by
        assert "\n" not in str(caught.value)


def test_a_folder(tmp_path):
    with pytest.raises(WeightError, match="is a folder"):
        registry.find(tmp_path)
