"""one HTML page of the stored results: tables, charts, history, provenance; opens offline"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness.commands._options import existing_store, names, write_whole
from harness.report import html
from harness.store import DEFAULT_PATH


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--html", required=True, metavar="OUT.html", help="where the page goes")
    parser.add_argument(
        "--release", type=names, default=(), metavar="R[,R…]", help="a table for each; all by default, in one"
    )
    parser.add_argument("--device", type=names, default=(), metavar="D[,D…]", help="all by default")
    parser.add_argument("--model", type=names, default=(), metavar="M[,M…]", help="all by default")
    parser.add_argument(
        "--store", default=str(DEFAULT_PATH), metavar="URL", help="results database (default: %(default)s)"
    )


def run(arguments: Namespace) -> int:
    selection = html.Selection(arguments.release, arguments.device, arguments.model)
    with existing_store(arguments.store) as store:
        text = html.render(store, selection)
    write_whole(Path(arguments.html), text.encode())
    return 0
