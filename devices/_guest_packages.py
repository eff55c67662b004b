"""The Debian packages that the virtual Pi is made of, from wherever this machine's apt gets them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import cache
from harness.errors import DeviceError
from harness.text import clean

KERNEL = "linux-image-cloud-arm64"
PACKAGES = (
    *("bash", "busybox-static", "coreutils", "dash", "findutils", "grep", "procps", "sed", "util-linux"),
    *("openssh-server", "openssh-sftp-server"),
)

Progress = Callable[[str], None]


def download(progress: Progress) -> list[Path]:
    """The packages, those that the cache lacks from the mirrors of this machine's apt."""
    progress("virtual Pi: asking apt for its packages")
    state, debs = cache.folder("virtual_pi", "apt"), cache.folder("virtual_pi", "packages")
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    run_here("apt-get", "-qq", *options, "update")
    listing = run_here("apt-get", "-qq", *options, "download", "--print-uris", *_closure(options))
    files = [line.split()[1] for line in listing.splitlines()]  # 'address' file size hash
    missing = [file.partition("_")[0] for file in files if not (debs / file).is_file()]
    if missing:
        progress(f"virtual Pi: downloading {len(missing)} packages (40 MB are all of them)")
        with tempfile.TemporaryDirectory(dir=debs) as work:
            run_here("apt-get", "-qq", *options, "download", *missing, cwd=Path(work))
            for file in Path(work).iterdir():
                file.rename(debs / file.name)
    return [debs / file for file in files]


def _closure(options: list[str]) -> list[str]:
    """The kernel, PACKAGES, and all libraries that they need; not what Debian needs to install them."""
    kernel = _depends(options, [KERNEL])[KERNEL][0]
    found, new = {kernel: None}, list(PACKAGES)
    while new:
        found |= dict.fromkeys(new)
        needed = dict.fromkeys(name for names in _depends(options, new).values() for name in names)
        new = [name for name in needed if re.match("z?lib", name) and name not in found]
    return list(found)


def _depends(options: list[str], names: list[str]) -> dict[str, list[str]]:
    """What each package depends on, the first where there are alternatives."""
    found: dict[str, list[str]] = {}
    for stanza in run_here("apt-cache", *options, "show", "--no-all-versions", *names).split("\n\n"):
        fields = dict(re.findall(r"^(Package|Depends|Pre-Depends): (.*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            text = f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}"
            found[fields["Package"]] = re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9.+-]*)", text)
    return found


def run_here(*command: str, cwd: Path | None = None) -> str:
    """What a program of this machine prints. DeviceError with its last words where it fails."""
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        words = clean((done.stderr.strip().splitlines() or ["no reason given"])[-1])
        name = Path(command[0]).name
        raise DeviceError(f"making the virtual Pi: {name} failed: {words}")
    return done.stdout
