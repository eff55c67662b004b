"""registered devices: list, add and remove them, ask one what it is and whether it is fit for trials"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import closing
from pathlib import Path

from tabulate import tabulate

import devices
from devices import DeviceInfo, Entry
from devices import _own as own
from harness import checkup, runner_output
from harness.commands import _reserving
from harness.commands._options import action
from harness.deploy import deploy_built
from harness.errors import UsageError
from harness.progress import ProgressLine
from harness.text import clean

INFO_TIMEOUT_S = 60
VERDICTS = {True: "ok", False: "FAIL", None: "unknown"}


def add(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="action", required=True)
    action(actions, "list", "names, transports and processors").set_defaults(action=_list)
    info = action(actions, "info", "what a device is and which kernels run on it")
    info.add_argument("name")
    info.set_defaults(action=_info)
    check = action(actions, "check", "whether trials on it can be valid; exit code 1 if not")
    check.add_argument("name")
    check.set_defaults(action=_check)
    remove = action(actions, "remove", "forget one of your own devices")
    remove.add_argument("name")
    remove.set_defaults(action=_remove)
    _reserving.declare(actions)
    _declare_add(action(actions, "add", "register a device: bench devices add pi4 ssh://pi@host"))


def _declare_add(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="what --device will call it")
    parser.add_argument("address", help="ssh://user@host:port, or adb://SERIAL as `adb devices` shows it")
    parser.add_argument(
        "--key", type=_file, metavar="FILE", help="private key; else those of the agent and ~/.ssh"
    )
    parser.add_argument("--jump", metavar="D", help="a registered device that it is reached through")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--fingerprint", metavar="SHA256:…", help="of its host key: no other is accepted")
    known.add_argument("--yes", action="store_true", help="accept whatever host key it shows")
    parser.set_defaults(action=_add)


def _file(text: str) -> str:
    """The path of an existing file that means the same in every folder."""
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ArgumentTypeError(f"there is no file '{text}'")
    return str(path)


def run(arguments: Namespace) -> int:
    return arguments.action(arguments)


def _list(_arguments: Namespace) -> int:
    rows = [
        [name, clean(str(entry.settings.get("transport", ""))), clean(_place(entry))]
        for name, entry in sorted(devices.registry().items())
    ]
    print(tabulate(rows, ["device", "transport", "which"]))
    print(f"\nyour own devices: {devices.user_file()}")
    return 0


def _place(entry: Entry) -> str:
    """What tells it from others: where it is, or what it emulates."""
    found = (entry.settings.get(key) for key in ("user", "host", "port", "serial", "arch", "cpu"))
    return " ".join(str(value) for value in found if value is not None)


def _add(arguments: Namespace) -> int:
    """Pins the device's key, asks what the device is, and only then writes the entry."""
    own.check_new(arguments.name)
    options = {key: getattr(arguments, key) for key in ("key", "jump") if getattr(arguments, key)}
    settings = devices.register(arguments.address, options, lambda shown: _accepted(shown, arguments))
    entry = Entry(arguments.name, settings, devices.user_file())
    with closing(devices.open_entry(entry)) as device:
        info = device.info()
    own.write(arguments.name, settings)
    print(f"{info.name}: {clean(_summary(info))}")
    print(f"added to {devices.user_file()}; next: bench devices check {info.name}")
    return 0


def _accepted(fingerprint: str, arguments: Namespace) -> bool:
    """Whether the user takes a host key with this fingerprint for the device's."""
    print(f"host key of {clean(arguments.address)}: {fingerprint}", file=sys.stderr)
    if arguments.fingerprint:
        return arguments.fingerprint == fingerprint
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked whether the host key is right: give --fingerprint SHA256:… or --yes "
            "(on the device: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)"
        )
    return input("is this the device's own? (ssh-keygen -l there tells) [y/N] ").strip().lower() in (
        "y",
        "yes",
    )


def _summary(info: DeviceInfo) -> str:
    words = (info.facts.get("board"), info.arch, info.facts.get("clusters", info.cpu), info.facts.get("os"))
    return ", ".join(word for word in words if word)


def _remove(arguments: Namespace) -> int:
    own.remove(arguments.name)
    print(f"removed from {devices.user_file()}")
    return 0


def _check(arguments: Namespace) -> int:
    """1 where a point is not as a valid trial needs it; one that is unknown does not count."""
    with closing(devices.open_device(arguments.name)) as device:
        found = checkup.points(device.info())
    rows = [
        [VERDICTS[point.good], point.name, clean(point.found), point.remedy if point.good is False else ""]
        for point in found
    ]
    print(tabulate(rows, ["", "point", "found", "what to do"], disable_numparse=True))
    return 1 if any(point.good is False for point in found) else 0


def _info(arguments: Namespace) -> int:
    """What the device says of itself, and what the runner finds there."""
    with ProgressLine() as progress, closing(devices.open_device(arguments.name)) as device:
        there = deploy_built(device, progress=progress)
        info = there.info
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
