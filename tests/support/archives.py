"""Archives of members as (name, content), honest or not."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A member's content: it is a symbolic link."""

    target: str


def link(name: str, target: str) -> tuple[str, Link]:
    return name, Link(target)


def a_tar(members: Sequence[tuple[str, bytes | Link]]) -> bytes:
    """Not compressed. A name that ends in "/" is a folder; content that is one of tar's types is that."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, Link):
                info.type, info.linkname, content = tarfile.SYMTYPE, content.target, b""
            elif name.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif content in tarfile.SUPPORTED_TYPES and content != b"":
                info.type, info.linkname, content = content, "elsewhere", b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def a_zip(members: Sequence[tuple[str, bytes | Link]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            if isinstance(content, Link):
                info.external_attr, content = (stat.S_IFLNK | 0o777) << 16, content.target
            archive.writestr(info, content)
    return packed.getvalue()
