"""Folders of labelled samples: taken whole or refused with the line that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BenchError, FormatError, UsageError
from harness.sample_folder import inside, read_folder, read_unlabelled


@pytest.fixture
def folder(tmp_path):
    """Three empty sample files; what they hold is not this module's concern."""
    place = tmp_path / "set"
    (place / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.png"):
        (place / name).touch()
    return place


def table(folder, *rows, header="file,label"):
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_table_keeps_its_order_and_ignores_further_columns(folder):
    table(folder, "sub/c.png,x,2", "a.png,y,0", header="file,note,label")
    assert [(s.id, s.label) for s in read_folder(folder)] == [("sub/c.png", 2), ("a.png", 0)]
    assert read_folder(folder)[0].path == folder / "sub/c.png"


def test_class_folders_are_numbered_by_sorted_name(tmp_path):
    for name in ("zebra/1.png", "ant/2.png", "ant/1.png", "mule/1.npy", ".hidden/1.png", "ant/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [(s.id, s.label) for s in read_folder(tmp_path)]
    assert found == [("ant/1.png", 0), ("ant/2.png", 0), ("mule/1.npy", 1), ("zebra/1.png", 2)]


def test_samples_without_labels_are_the_files_below_a_folder(folder):
    (folder / "ILSVRC2012_validation_ground_truth.txt").touch()
    assert [(s.id, s.label) for s in read_unlabelled(folder)] == [
        ("a.png", 0),
        ("b.png", 0),
        ("sub/c.png", 0),
    ]
    with pytest.raises(UsageError, match=r"sub/c\.png: not a folder of samples"):
        read_unlabelled(folder / "sub" / "c.png")
    (folder / "sub" / "c.png").rename(folder / "sub" / "c.txt")
    with pytest.raises(UsageError, match="sub holds no samples; known suffixes: "):
        read_unlabelled(folder / "sub")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["gone.png,0"], r"labels\.csv, line 2: 'gone\.png' does not exist"),
        (["a.png,0", "../a.png,0"], r"line 3: '\.\./a\.png' is not a path inside"),
        (["sub/../../a.png,0"], "line 2: .* is not a path inside"),
        (["/etc/passwd,0"], "line 2: '/etc/passwd' is not a path inside"),
        (["C:a.png,0"], "line 2: 'C:a.png' is not a path inside"),
        (["a.png,0", "b.png,cat"], "line 3: label 'cat' is not a class number"),
        (["a.png,-1"], "line 2: label '-1'"),
        (["a.png,1.0"], "line 2: label '1.0'"),
        (["a.png,"], "line 2: label ''"),
        (["a.png,٣"], "line 2: label '٣'"),
        (["a.png,1_0"], "line 2: label '1_0'"),
        (["a.png"], "line 2: the row is cut short"),
        (["a.png,0", "b.png,0", "a.png,1"], r"line 4: 'a\.png' is listed on line 2 already"),
        ([",0"], "line 2: '' is not a file name"),
        (["sub,0"], "line 2: 'sub' is not a file"),
        (['"a.png,0'], "not a CSV file"),
        (["x" * 5000 + ",0"], "line 2: .* does not exist"),
    ],
)
def test_bad_row_is_named(folder, rows, message):
    with pytest.raises(BenchError, match=message) as raised:
        read_folder(table(folder, *rows))
    assert "\n" not in str(raised.value)


def test_missing_column(folder):
    with pytest.raises(FormatError, match="line 1: no column 'label'"):
        read_folder(table(folder, "a.png,0", header="file,class"))


def test_table_that_is_not_text(folder):
    (folder / "labels.csv").write_bytes(b"file,label\n\xff\xfe.png,0\n")
    with pytest.raises(FormatError, match="not a CSV file in UTF-8"):
        read_folder(folder)


def test_link_out_of_the_folder(folder, tmp_path):
    (tmp_path / "outside.png").touch()
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(FormatError, match=r"line 2: 'link\.png' is a link that leads out"):
        read_folder(table(folder, "link.png,0"))
    (folder / "loop.png").symlink_to(folder / "loop.png")
    with pytest.raises(UsageError, match=r"'loop\.png' does not exist"):
        read_folder(table(folder, "loop.png,0"))


def test_class_folder_that_is_a_link_out(folder, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.png").touch()
    (folder / "other").symlink_to(tmp_path / "outside")
    with pytest.raises(FormatError, match="leads out"):
        read_folder(folder)


def test_folder_reached_through_a_link(folder, tmp_path):
    (tmp_path / "alias").symlink_to(folder)
    assert len(read_folder(table(tmp_path / "alias", "a.png,0"))) == 1


def test_empty_folders(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="neither labels.csv nor sub-folders"):
        read_folder(tmp_path / "empty")
    with pytest.raises(UsageError, match="is empty"):
        read_folder(table(folder))
    (tmp_path / "empty" / "class").mkdir()
    with pytest.raises(UsageError, match="is empty"):
        read_folder(tmp_path / "empty")


def test_stray_file_among_samples_is_not_skipped(folder):
    (folder / "sub" / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"notes\.txt: not a sample file"):
        read_folder(folder)


@given(st.text(min_size=1, max_size=20).map(lambda text: "../" + text) | st.text(max_size=20))
def test_no_name_leads_out_of_a_folder(tmp_path_factory, name):
    place = tmp_path_factory.getbasetemp()
    try:
        path = inside(place, name, "here")
    except BenchError:
        return
    assert path.resolve().is_relative_to(place.resolve())
