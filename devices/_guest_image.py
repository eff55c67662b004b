"""Builds what the virtual Pi boots from, out of Debian's arm64 packages: kernel, initrd and disk.

    apt-get download ──► *.deb ──► tree ──► disk-<size>.ext4
                             └──► vmlinuz, initrd

Nothing of it is run on this machine and nothing needs root: packages are unpacked, not installed, and the
guest sets the owners of files when it boots.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devices import _guest_packages
from devices._guest_packages import Progress, run_here
from harness import cache
from harness.errors import DeviceError

FILES = Path(__file__).parent / "guest"
# In the order of loading; a kernel may have some of them built in.
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("failover", "net_failover", "virtio_net"),
)
BUSYBOX_LINKS = ("mount", "umount", "ip", "hostname", "poweroff", "reboot", "awk", "vi", "ping", "which")
NEEDED = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "qemu-system-aarch64": "qemu-system-arm",
}
SBIN = ":/usr/sbin:/sbin"  # where mke2fs is, and not every user looks
SSHD_CONFIG = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
UsePAM no
UseDNS no
GSSAPIAuthentication no
StrictModes no
PermitRootLogin prohibit-password
MaxStartups 50
Subsystem sftp /usr/lib/openssh/sftp-server
"""
ETC = {
    "passwd": "root:*:0:0::/root:/bin/bash\nsshd:*:101:65534::/run/sshd:/bin/false\n"
    "pi:*:1000:1000::/home/pi:/bin/bash\nnobody:*:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\npi:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost virtual-pi\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "os-release": 'PRETTY_NAME="Debian (virtual Pi)"\nID=debian\n',
    "ssh/sshd_config": SSHD_CONFIG,
}
EMPTY_FOLDERS = (
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "root/.ssh",
    "home/pi/.ssh",
    "var/empty",
    "usr/local/bin",
)
UNUSED = ("usr/share", "usr/lib/systemd", "etc/init.d", "etc/pam.d", "etc/default")
INODES = 16384


@dataclass(frozen=True)
class Image:
    """Files on this machine. user_key: a private key that the guest lets in as pi and as root."""

    kernel: Path
    initrd: Path
    disk: Path
    user_key: Path
    host_key: str


def provide(disk_mb: int, progress: Progress, keep: str | None = None) -> Image:
    """The image with a disk of this size, built where the cache lacks it. Raises DeviceError.

    keep: the device whose own disk it shall be; else one that all share and nobody may write to.
    """
    for program, package in NEEDED.items():
        _program(program, package)
    parent = cache.folder("virtual_pi")
    folder = parent / _key()
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes need not download the same
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=parent, prefix=".building-") as work:
                _build(Path(work) / "image", progress)
                (Path(work) / "image").rename(folder)
        disk = folder / f"disk-{disk_mb}.ext4"
        if keep:
            disk = cache.folder("devices", keep) / f"{folder.name}-{disk_mb}.ext4"
        cache.file(disk, lambda path: _make_disk(folder / "tree", disk_mb, path))
    host_key = (folder / "host_key.pub").read_text().strip()
    return Image(folder / "vmlinuz", folder / "initrd", disk, folder / "user_key", host_key)


def _key() -> str:
    """Hash of everything here that decides the image, but for the versions of the packages."""
    sources = [Path(__file__), Path(_guest_packages.__file__), *sorted(FILES.iterdir())]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _build(folder: Path, progress: Progress) -> None:
    tree, kernel = folder / "tree", folder / "kernel"
    tree.mkdir(parents=True)
    for package in _guest_packages.download(progress):
        into = kernel if package.name.startswith("linux-image") else tree
        run_here("dpkg-deb", "--extract", str(package), str(into))
    progress("virtual Pi: making its disk")
    _furnish(tree)
    _make_keys(folder, tree)
    shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    (folder / "initrd").write_bytes(_initrd(tree, kernel))
    shutil.rmtree(kernel)


def _furnish(tree: Path) -> None:
    """What installing the packages would have done, as far as it is needed."""
    for name in ("bin", "sbin", "lib"):  # packages of before and after Debian's merge of /usr
        if (tree / name).is_dir() and not (tree / name).is_symlink():
            shutil.copytree(tree / name, tree / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(tree / name)
        (tree / name).symlink_to(f"usr/{name}")
    for name in UNUSED:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in EMPTY_FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, text in ETC.items():
        (tree / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "etc" / name).write_text(text)
    for name in BUSYBOX_LINKS:
        if not (tree / "usr/bin" / name).exists():
            (tree / "usr/bin" / name).symlink_to("busybox")
    if not (tree / "usr/bin/sh").exists():
        (tree / "usr/bin/sh").symlink_to("dash")
    shutil.copy(FILES / "init", tree / "init")
    (tree / "init").chmod(0o755)


def _make_keys(folder: Path, tree: Path) -> None:
    """A key for the server and one for its users, of this image alone."""
    host_key, host_public = _new_key()
    user_key, user_public = _new_key()
    _write(tree / "etc/ssh/ssh_host_ed25519_key", host_key, 0o600)
    for home in ("root", "home/pi"):
        _write(tree / home / ".ssh/authorized_keys", user_public, 0o600)
    _write(folder / "user_key", user_key, 0o600)
    _write(folder / "host_key.pub", host_public, 0o644)


def _new_key() -> tuple[bytes, bytes]:
    """A private and a public key as OpenSSH writes them."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public + b"\n"


def _write(path: Path, content: bytes, mode: int) -> None:
    path.touch(mode)
    path.write_bytes(content)


def _initrd(tree: Path, kernel: Path) -> bytes:
    """An archive with busybox, the drivers of QEMU's machine, and the script that loads them."""
    files = {"busybox": (tree / "usr/bin/busybox").read_bytes(), "init": (FILES / "initrd").read_bytes()}
    order = []
    for name in MODULES:
        for path in (kernel / "lib/modules").rglob(f"{name}.ko*"):
            content = path.read_bytes()
            files[f"modules/{name}.ko"] = lzma.decompress(content) if path.suffix == ".xz" else content
            order.append(f"{name}.ko\n")
    files["modules/order"] = "".join(order).encode()
    folders = ["proc", "sys", "dev", "disk", "modules"]
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, content) for name, content in files.items()]
    return b"".join(_cpio(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", 0, b"")]))


def _cpio(inode: int, name: str, mode: int, content: bytes) -> bytes:
    """One file of an archive in cpio's "newc" format (Linux, Documentation/driver-api/early-userspace)."""
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _make_disk(tree: Path, size_mb: int, path: Path) -> None:
    options = ["-q", "-t", "ext4", "-O", "^metadata_csum,^64bit", "-E", "lazy_itable_init=1,nodiscard"]
    options += ["-m", "0", "-N", str(INODES), "-d", str(tree)]
    run_here(_program("mke2fs", NEEDED["mke2fs"]), *options, str(path), f"{size_mb}M")


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    if path is None:
        raise DeviceError(
            f"the virtual Pi needs {name}, which is not installed: run `apt-get install {package}`"
        )
    return path
