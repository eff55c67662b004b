"""The tables of the results database and its migrations.

    runs 1—n cells n—1 devices          a cell: one model and variant on one device
    cells 1—n processes                 the timed runs, raw
    cells 1—n layers                    the profile: every node, its timed runs, raw
    cells 1—0..1 predictions n—1 datasets   top-k of every sample; the samples' names and labels

A column of `cells` has the name of the field of `Cell` that it holds. Arrays are zlib-compressed
little-endian bytes.
"""

from __future__ import annotations

import json
import statistics
import uuid
import zlib
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from harness.errors import FormatError

METADATA = sa.MetaData()


def _key(name: str, **options) -> sa.Column:
    return sa.Column(
        name, sa.Integer, sa.ForeignKey(f"{name.removesuffix('_id')}s.id"), nullable=False, **options
    )


VERSION = sa.Table("schema_version", METADATA, sa.Column("version", sa.Integer, nullable=False))

RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("bench_version", sa.Text, nullable=False),
    sa.Column("runtime_sha256", sa.Text, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("environment", sa.JSON, nullable=False),
    sa.Column("release", sa.Text),
    sa.Column("uuid", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_runs_uuid", "uuid", unique=True),
    sa.Index("ix_runs_release", "release"),
)

DEVICES = sa.Table(
    "devices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _key("run_id"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("transport", sa.Text, nullable=False),
    sa.Column("arch", sa.Text, nullable=False),
    sa.Column("cpu", sa.Text, nullable=False),
    sa.Column("emulated", sa.Boolean, nullable=False),
    sa.UniqueConstraint("run_id", "name"),
)

DATASETS = sa.Table(
    "datasets",
    METADATA,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("ids", sa.LargeBinary, nullable=False),  # JSON list of names, zlib
    sa.Column("labels", sa.LargeBinary, nullable=False),  # int32, zlib
)

CELLS = sa.Table(
    "cells",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _key("run_id"),
    _key("device_id"),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("arithmetic", sa.Text, nullable=False),
    sa.Column("model_sha256", sa.Text),
    sa.Column("dataset_sha256", sa.Text),  # of a dataset that a cell refers to, stored or not
    sa.Column("core", sa.Integer),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("latency_ms", sa.JSON),  # a Latency; its raw samples are in `processes`
    sa.Column("load_ms", sa.Float),
    sa.Column("instructions", sa.BigInteger),
    sa.Column("top1", sa.Float),
    sa.Column("top5", sa.Float),
    sa.Column("auc", sa.Float),
    sa.Column("positives", sa.Integer),
    sa.Column("samples", sa.Integer),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("size_compressed_bytes", sa.BigInteger),
    sa.Column("ota_delta_bytes", sa.BigInteger),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("planned_memory_bytes", sa.BigInteger),
    sa.Column("energy_mj", sa.Float),
    sa.Column("facts_before", sa.JSON, nullable=False),  # of the device: governor, boot_id, …
    sa.Column("facts_after", sa.JSON, nullable=False),
    sa.UniqueConstraint("run_id", "device_id", "model", "variant"),
    sa.Index("ix_cells_model_variant", "model", "variant"),
)

PROCESSES = sa.Table(
    "processes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    _key("cell_id", index=True),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("ns", sa.LargeBinary, nullable=False),  # int64, zlib
    sa.Column("cold_ns", sa.BigInteger, nullable=False),
    sa.Column("load_ns", sa.BigInteger, nullable=False),
    sa.Column("warmup_runs", sa.BigInteger, nullable=False),
    sa.Column("core", sa.Integer),
    sa.Column("isa", sa.Text, nullable=False),
    sa.Column("arena_bytes", sa.BigInteger, nullable=False),
    sa.Column("vm_hwm_kb", sa.BigInteger),
    sa.Column("voluntary_switches", sa.BigInteger, nullable=False),
    sa.Column("involuntary_switches", sa.BigInteger, nullable=False),
    sa.Column("wall_s", sa.Float, nullable=False),
)

LAYERS = sa.Table(
    "layers",
    METADATA,
    _key("cell_id", primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),  # in execution order
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("op", sa.Text, nullable=False),
    sa.Column("arithmetic", sa.Text, nullable=False),
    sa.Column("kernel", sa.Text, nullable=False),
    sa.Column("macs", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("ns", sa.LargeBinary, nullable=False),  # int64, zlib
    sa.Column("instructions", sa.BigInteger),
)

PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    _key("cell_id", primary_key=True),
    sa.Column("dataset_sha256", sa.Text, sa.ForeignKey("datasets.sha256"), nullable=False),
    sa.Column("k", sa.Integer, nullable=False),
    sa.Column("classes", sa.LargeBinary, nullable=False),  # int32 (n, k), zlib
    sa.Column("scores", sa.LargeBinary, nullable=False),  # float32 (n, k), zlib
)


def _identities_releases_and_layers(connection: sa.Connection) -> None:
    """Version 2: a run has a uuid and a release label, a cell its profile."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN release TEXT")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN uuid TEXT DEFAULT '' NOT NULL")
    connection.exec_driver_sql(
        "CREATE TABLE layers ("
        "cell_id INTEGER NOT NULL REFERENCES cells (id), "
        '"index" INTEGER NOT NULL, name TEXT NOT NULL, op TEXT NOT NULL, arithmetic TEXT NOT NULL, '
        "kernel TEXT NOT NULL, macs BIGINT NOT NULL, bytes BIGINT NOT NULL, "
        f"ns {sa.LargeBinary().compile(connection.dialect)} NOT NULL, "
        'PRIMARY KEY (cell_id, "index"))'
    )
    runs = sa.table("runs", *(sa.column(name) for name in ("id", "started", "settings", "uuid")))
    for row in connection.execute(runs.select()).all():
        # Derived from the row, so that two copies of one database give their runs the same identities.
        name = json.dumps([row.id, row.started, str(row.settings)])
        identity = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
        connection.execute(runs.update().where(runs.c.id == row.id).values(uuid=identity))
    connection.exec_driver_sql("CREATE UNIQUE INDEX ix_runs_uuid ON runs (uuid)")
    connection.exec_driver_sql("CREATE INDEX ix_runs_release ON runs (release)")
    connection.exec_driver_sql("CREATE INDEX ix_cells_model_variant ON cells (model, variant)")


def _planned_memory(connection: sa.Connection) -> None:
    """Version 3: a cell has its planned memory, which its processes always had."""
    connection.exec_driver_sql("ALTER TABLE cells ADD COLUMN planned_memory_bytes BIGINT")
    connection.exec_driver_sql(
        "UPDATE cells SET planned_memory_bytes = "
        "(SELECT MAX(arena_bytes) FROM processes WHERE processes.cell_id = cells.id)"
    )


def _instructions_of_layers_and_deltas(connection: sa.Connection) -> None:
    """Version 4: a layer has its instructions, a cell the size of the update from the release before."""
    connection.exec_driver_sql("ALTER TABLE layers ADD COLUMN instructions BIGINT")
    connection.exec_driver_sql("ALTER TABLE cells ADD COLUMN ota_delta_bytes BIGINT")


def _load_times(connection: sa.Connection) -> None:
    """Version 5: a cell has the time in which its model was loaded, which its processes always had."""
    connection.exec_driver_sql("ALTER TABLE cells ADD COLUMN load_ms FLOAT")
    cells = sa.table("cells", sa.column("id"), sa.column("load_ms"))
    processes = sa.table("processes", sa.column("cell_id"), sa.column("load_ns"))
    loads: dict[int, list[int]] = {}
    for cell_id, load_ns in connection.execute(processes.select()).all():
        loads.setdefault(cell_id, []).append(load_ns)
    for cell_id, ns in loads.items():
        median_ms = statistics.median(ns) / 1e6
        connection.execute(cells.update().where(cells.c.id == cell_id).values(load_ms=median_ms))


def _auc(connection: sa.Connection) -> None:
    """Version 6: a cell may have the area under a ROC curve."""
    connection.exec_driver_sql("ALTER TABLE cells ADD COLUMN auc FLOAT")


def _positives(connection: sa.Connection) -> None:
    """Version 7: a cell with such an area has the number of anomalies, as its data set's labels tell it."""
    connection.exec_driver_sql("ALTER TABLE cells ADD COLUMN positives INTEGER")
    cells = sa.table("cells", *(sa.column(name) for name in ("id", "auc", "dataset_sha256", "positives")))
    datasets = sa.table("datasets", sa.column("sha256"), sa.column("labels", sa.LargeBinary))
    judged = sa.select(cells.c.id, datasets.c.labels).where(
        cells.c.auc.is_not(None), cells.c.dataset_sha256 == datasets.c.sha256
    )
    for cell_id, labels in connection.execute(judged).all():
        count = int(np.count_nonzero(np.frombuffer(zlib.decompress(labels), "<i4") == 1))
        connection.execute(cells.update().where(cells.c.id == cell_id).values(positives=count))


# MIGRATIONS[i] lifts a database from version i + 1 to i + 2; a new one is made as METADATA says. A migration
# is written in SQL of its own, because METADATA goes on changing.
MIGRATIONS: list[Callable[[sa.Connection], None]] = [
    _identities_releases_and_layers,
    _planned_memory,
    _instructions_of_layers_and_deltas,
    _load_times,
    _auc,
    _positives,
]


def is_current(connection: sa.Connection) -> bool:
    """Whether the database has the newest version of the tables; False for an older or an empty one.

    Raises FormatError where it is not one of ours or was written by a newer program.
    """
    return _version(connection) == 1 + len(MIGRATIONS)


def prepare(connection: sa.Connection) -> None:
    """Makes the tables in an empty database, or lifts an older one to the newest version; in one transaction.

    Raises FormatError as `is_current` does.
    """
    newest, version = 1 + len(MIGRATIONS), _version(connection)
    if version == 0:
        METADATA.create_all(connection)
        connection.execute(VERSION.insert().values(version=newest))
        return
    for migrate in MIGRATIONS[version - 1 :]:
        migrate(connection)
    connection.execute(VERSION.update().values(version=newest))


def _version(connection: sa.Connection) -> int:
    """The version of the tables, 0 where there are none."""
    newest = 1 + len(MIGRATIONS)
    present = sa.inspect(connection).get_table_names()
    if not present:
        return 0
    versions = connection.scalars(sa.select(VERSION.c.version)).all() if VERSION.name in present else []
    if len(versions) != 1:
        raise FormatError("it is not a quantbench results database")
    if not 1 <= versions[0] <= newest:
        raise FormatError(
            f"it has schema version {versions[0]}, this program knows {newest}: update quantbench"
        )
    return versions[0]
