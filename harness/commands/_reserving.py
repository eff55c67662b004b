"""bench devices lock, unlock and clean: a device kept for oneself, given back, and rid of our files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager

import devices
from harness import deploy, lease
from harness.commands._options import action, seconds
from harness.progress import ProgressLine
from harness.text import clean, duration


def declare(actions) -> None:
    """Adds the actions to the parser's."""
    lock = action(actions, "lock", "keep a device for yourself; your own runs go on")
    lock.add_argument("name")
    lock.add_argument(
        "--for",
        dest="time",
        type=seconds,
        default=7200.0,
        metavar="TIME",
        help="how long: 90s, 10m, 2h (default: 2h)",
    )
    lock.set_defaults(action=_lock)
    unlock = action(actions, "unlock", "end your lock, or a lease whose owner is gone")
    unlock.add_argument("name")
    unlock.add_argument("--force", action="store_true", help="end it whosever it is")
    unlock.set_defaults(action=_unlock)
    cleaning = action(actions, "clean", "remove what was sent to a device")
    cleaning.add_argument("name")
    cleaning.set_defaults(action=_clean)


@contextmanager
def _opened(name: str) -> Iterator[lease.Grants]:
    with ProgressLine() as progress, closing(devices.open_device(name)) as device:
        runner = deploy.deploy_built(device, progress=progress).runner
        yield lease.Grants(device, runner)


def _lock(arguments: Namespace) -> int:
    with _opened(arguments.name) as grants:
        lease.reserve(grants, arguments.name, arguments.time)
    print(
        f"{arguments.name} is yours for {duration(arguments.time)}; "
        f"earlier: bench devices unlock {arguments.name}"
    )
    return 0


def _unlock(arguments: Namespace) -> int:
    with _opened(arguments.name) as grants:
        ended = lease.clear(grants, arguments.name, force=arguments.force)
    print(f"{arguments.name} is free" + (f"; it was held by {clean(ended)}" if ended else " (it was before)"))
    return 0


def _clean(arguments: Namespace) -> int:
    with _opened(arguments.name) as grants, lease.held(grants.device, grants.runner):
        removed = deploy.clean(grants.device)
    print(f"{arguments.name}: {removed:,} bytes removed")
    return 0
