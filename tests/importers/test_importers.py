import pytest

from harness.errors import UsageError
from harness.importers import load


@pytest.mark.parametrize("name", ["model.onnx2", "model", "model.txt"])
def test_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"\.pb, \.tflite"):
        load(tmp_path / name)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"'.*nothing\.pb' does not exist"):
        load(tmp_path / "nothing.pb")


def test_folder_is_refused(tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path / "folder.tflite")


def test_suffix_in_capitals_finds_its_importer(tmp_path):
    (tmp_path / "MODEL.TFLITE").write_bytes(b"nonsense")
    with pytest.raises(Exception, match="lacks the identifier TFL3"):
        load(tmp_path / "MODEL.TFLITE")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("m.keras", r"keras\.saving\.load_model\('.*m\.keras'\)\.export\('.*m'\)"),
        ("m.h5", r"keras\.saving\.load_model\('.*m\.h5'\)"),
        ("m.pt", r"torch\.onnx\.export\(.*'.*m\.onnx'"),
        ("m.pth", r"torch\.onnx\.export"),
    ],
)
def test_files_of_objects_are_refused_with_the_line_that_exports_them(tmp_path, name, line):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=line):
        load(tmp_path / name)
