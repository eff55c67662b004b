"""Export and import: everything comes back exactly, once; a damaged file changes nothing."""

from contextlib import suppress
from dataclasses import replace

import pytest

from harness import archive
from harness.errors import FormatError, UsageError
from harness.results import EvaluationSet
from harness.store import Store
from tests.support.measurements import DATASET, RUN, another_run, contents, failed, measurement

SUFFIXES = [".jsonl", ".parquet"]
OTHER_RUN = replace(another_run(), release=None, settings={"a": [1, None, {"b": 2.5}]}, environment={})


def ignore(_what, _done, _total):
    pass


def everything(store: Store) -> list:
    return [
        (run, contents(store.measurement(cell_id)))
        for run_id, run in store.runs().items()
        for cell_id in store.cells(run_id)
    ]


@pytest.fixture
def filled(tmp_path):
    with Store.open(tmp_path / "filled.db") as opened:
        opened.merge([(RUN, measurement()), (RUN, failed()), (OTHER_RUN, measurement("other"))])
        yield opened


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_round_trip_is_exact_and_a_second_import_adds_nothing(filled, where, tmp_path, suffix):
    path = tmp_path / f"all{suffix}"
    assert archive.export(filled, path, ignore) == 3
    with Store.open(where) as target:
        assert archive.load(target, path, ignore) == (3, 0)
        assert everything(target) == everything(filled)
        assert archive.load(target, path, ignore) == (0, 3)
        again = tmp_path / f"again{suffix}"
        archive.export(target, again, ignore)
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_import_adds_what_is_missing(filled, tmp_path, suffix):
    path = tmp_path / f"all{suffix}"
    archive.export(filled, path, ignore)
    with Store.open(tmp_path / "target.db") as target:
        target.merge([(RUN, failed())])
        assert archive.load(target, path, ignore) == (2, 1)
        assert len(target.runs()) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_database(tmp_path, suffix):
    path = tmp_path / f"none{suffix}"
    with Store.open(tmp_path / "empty.db") as store:
        assert archive.export(store, path, ignore) == 0
        assert archive.load(store, path, ignore) == (0, 0)


def test_pandas_reads_the_parquet_file(filled, tmp_path):
    pandas = pytest.importorskip("pandas")
    archive.export(filled, tmp_path / "all.parquet", ignore)
    frame = pandas.read_parquet(tmp_path / "all.parquet")
    assert list(frame.columns) == ["run", "measurement"]
    assert frame.measurement[0]["cell"]["model"] == "tiny"
    assert frame.measurement[0]["processes"][1]["ns"].tolist() == measurement().processes[1].ns.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_that_is_cut_off_changes_nothing(filled, tmp_path, suffix, share):
    path = tmp_path / f"all{suffix}"
    archive.export(filled, path, ignore)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with Store.open(tmp_path / "target.db") as target:
        with pytest.raises(FormatError, match=f"all{suffix}"):
            archive.load(target, path, ignore)
        assert target.runs() == {}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_changed_bytes_are_noticed(filled, tmp_path, suffix):
    path = tmp_path / f"all{suffix}"
    archive.export(filled, path, ignore)
    content = path.read_bytes()
    for at in range(0, len(content), len(content) // 15):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        with Store.open(tmp_path / f"target{at}.db") as target:
            with suppress(FormatError):
                archive.load(target, path, ignore)
            assert everything(target) in ([], everything(filled)), "all or nothing, and nothing changed"


def test_another_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "other.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}), path)
    with (
        Store.open(tmp_path / "target.db") as target,
        pytest.raises(FormatError, match="its columns are oth"),
    ):
        archive.load(target, path, ignore)


def test_names_that_are_not_unicode(tmp_path):
    strange = replace(measurement(), dataset=EvaluationSet(**vars(DATASET) | {"ids": ("a\udcff", "b")}))
    with Store.open(tmp_path / "strange.db") as store:
        store.merge([(RUN, strange)])
        with pytest.raises(UsageError, match=r"use \.jsonl"):
            archive.export(store, tmp_path / "all.parquet", ignore)
        archive.export(store, tmp_path / "all.jsonl", ignore)
        with Store.open(tmp_path / "target.db") as target:
            assert archive.load(target, tmp_path / "all.jsonl", ignore) == (1, 0)
            assert everything(target) == everything(store)


def test_places_that_do_not_work(filled, tmp_path):
    with pytest.raises(UsageError, match="unknown suffix '.csv'"):
        archive.export(filled, tmp_path / "all.csv", ignore)
    with pytest.raises(UsageError, match="cannot write"):
        archive.export(filled, tmp_path / "nowhere" / "all.jsonl", ignore)
    for suffix in SUFFIXES:
        with pytest.raises(UsageError, match="cannot read"):
            archive.load(filled, tmp_path / f"nothing{suffix}", ignore)
