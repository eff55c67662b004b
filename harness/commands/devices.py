"""registered devices: list them, or ask one what it is"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import closing

from tabulate import tabulate

import devices
from harness import build, runner_output
from harness.deploy import deploy
from harness.progress import ProgressLine
from harness.text import clean

INFO_TIMEOUT_S = 60


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    actions.add_parser("list", help="names, transports and processors").set_defaults(action=_list)
    info = actions.add_parser("info", help="what a device is and which kernels run on it")
    info.add_argument("name")
    info.set_defaults(action=_info)


def run(arguments: Namespace) -> int:
    return arguments.action(arguments)


def _list(_arguments: Namespace) -> int:
    rows = [
        [name, *(clean(str(entry.settings.get(key, ""))) for key in ("transport", "arch", "cpu"))]
        for name, entry in sorted(devices.registry().items())
    ]
    print(tabulate(rows, ["device", "transport", "arch", "cpu"]))
    print(f"\nyour own devices: {devices.user_file()}")
    return 0


def _info(arguments: Namespace) -> int:
    """What the device says of itself, and what the runner finds there."""
    with ProgressLine() as progress, closing(devices.open_device(arguments.name)) as device:
        info = device.info()
        there = deploy(device, build.runner(info.arch, progress))
        nonce = runner_output.new_nonce()
        result = device.run([there.runner, "info", "--nonce", nonce], INFO_TIMEOUT_S)
        found = runner_output.read_info(result, nonce)
    rows = {
        "device": info.name,
        "transport": info.transport,
        "arch": info.arch,
        "cpu": info.cpu,
        "emulated": "yes" if info.emulated else "no",
        "cores": found.cores,
        "page size": found.page_size,
        "CPU features": ", ".join(found.features),
        "kernels": ", ".join(found.isas),
    }
    print(
        tabulate([[key, clean(str(value))] for key, value in (rows | info.facts).items()], tablefmt="plain")
    )
    return 0
