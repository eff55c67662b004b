"""One file over HTTP: a download that was cut off goes on where it stopped, and nothing lasts for ever.

Proxies, their exceptions and certificates come from the environment (`HTTPS_PROXY`, `NO_PROXY`,
`REQUESTS_CA_BUNDLE`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from harness.errors import FormatError, UsageError

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all

PAUSES_S = (0.5, 1.0, 2.0)  # after attempts that brought nothing new, one after the other
CONNECT_S = 10.0
STALL_S = 30.0
LARGEST = 8 << 30  # bytes, where no size is known
CHUNK = 1 << 16
WORTH_ANOTHER_ATTEMPT = (408, 429, 500, 502, 503, 504)


class _Interrupted(Exception):
    """An attempt that failed in a way which the next one may not."""


def get(url: str, to: Path, size: int | None, progress: Progress) -> None:
    """Writes what is at `url` to the file `to`, going on with what an earlier call left there.

    size: in bytes, None where it is not known. Raises UsageError where the server cannot be reached, breaks
    off in every attempt or does not have the file (what came is kept for the next call), FormatError where
    the size is another.
    """
    transfer, failures = _Transfer(url, to, size, progress), 0
    while True:
        before = transfer.most
        try:
            return transfer.attempt()
        except requests.exceptions.SSLError as error:
            raise UsageError(f"{url}: no trusted connection: {error}") from error
        except (requests.ConnectionError, requests.Timeout, _Interrupted) as error:
            reason = _reason(error)
        except requests.RequestException as error:
            raise UsageError(f"{url}: {error}") from error
        except OSError as error:
            raise UsageError(f"{to}: cannot be written: {error.strerror}") from error
        failures = 1 if transfer.most > before else failures + 1
        if failures > len(PAUSES_S):
            raise UsageError(f"{url}: {reason} ({failures} attempts)")
        progress(f"{transfer.name}: {reason}; trying again", 0, 0)
        time.sleep(PAUSES_S[failures - 1])


def file_name(url: str) -> str:
    """The last part of its path."""
    return url.partition("?")[0].rpartition("/")[2]


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached or refuses"
    if isinstance(error, requests.Timeout):
        return "no answer"
    return str(error) if isinstance(error, _Interrupted) else "cannot be reached"


@dataclass
class _Transfer:
    """The attempts of one download. most: bytes that the best of them came to.

    Beside the file lies the server's name of its version (a strong ETag, else the date of its last change):
    only the same version is gone on with.
    """

    url: str
    file: Path
    size: int | None
    progress: Progress
    most: int = 0

    @property
    def name(self) -> str:
        return file_name(self.url)

    @property
    def _version_file(self) -> Path:
        return self.file.with_name(f"{self.file.name}.version")

    def attempt(self) -> None:
        """Downloads what is missing. Besides its own, raises what requests and the file system do."""
        headers, version = {"Accept-Encoding": "identity"}, self._kept_version()
        kept = self.file.stat().st_size if version else 0
        if kept:
            headers |= {"Range": f"bytes={kept}-", "If-Range": version}
        with requests.get(self.url, headers=headers, stream=True, timeout=(CONNECT_S, STALL_S)) as response:
            self._check(response)
            if response.status_code == 206 and not self._continues(response, kept, version):
                self._forget()
                raise _Interrupted("the server gives another part than was asked for")
            if response.status_code != 206:
                kept = 0
                self._forget()
                self._version_file.write_text(_version(response))
            self._receive(response, kept)
        self._version_file.unlink()

    def _kept_version(self) -> str:
        """Of the file that an earlier attempt left; empty where there is none that can be gone on with."""
        if not self.file.exists() or not self._version_file.exists():
            return ""
        return self._version_file.read_text()

    def _forget(self) -> None:
        self.file.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)

    def _check(self, response: requests.Response) -> None:
        """Whether the response is one with content."""
        status = f"the server says {response.status_code} {response.reason}"
        if self.url.startswith("https:") and not response.url.startswith("https:"):
            raise UsageError(f"{self.url}: leads to {response.url}, which is not encrypted")
        if response.status_code == 416:  # what is here is no part of what is there
            self._forget()
        if response.status_code in (*WORTH_ANOTHER_ATTEMPT, 416):
            raise _Interrupted(status)
        if response.status_code not in (200, 206):
            raise UsageError(f"{self.url}: {status}")

    def _continues(self, response: requests.Response, kept: int, version: str) -> bool:
        """Whether a partial response begins where the file ends, and is of the same version."""
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        return bool(kept and part and int(part[1]) == kept and _version(response) == version)

    def _receive(self, response: requests.Response, kept: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = kept + int(length) if length.isdecimal() else self.size
        if total is not None:
            self._check_size(total, total == (self.size or total))
        with self.file.open("ab") as stream:
            try:
                for chunk in response.iter_content(CHUNK):
                    stream.write(chunk)
                    self._check_size(stream.tell())
                    self.most = max(self.most, stream.tell())
                    megabytes = [n // 1_000_000 for n in (stream.tell(), total or 0)]
                    self.progress(f"fetching {self.name}, MB", *megabytes)
            except requests.RequestException as error:
                stalled = isinstance(error, requests.ConnectionError)  # as requests calls a read's timeout
                raise _Interrupted(
                    f"nothing came for {STALL_S:g} s" if stalled else _broken_off(stream.tell(), total)
                ) from error
            if total not in (None, stream.tell()):
                raise _Interrupted(_broken_off(stream.tell(), total))
            stream.flush()
            os.fsync(stream.fileno())

    def _check_size(self, found: int, fits: bool = True) -> None:
        """Raises FormatError, and forgets what is here, for a file that is not as large as it should be."""
        if found > (self.size or LARGEST) or not fits:
            self._forget()
            raise FormatError(f"{self.url}: {found} bytes, but it should have {self.size or 'fewer'}")


def _broken_off(received: int, total: int | None) -> str:
    return f"broke off after {received} of {total or 'an unknown number of'} bytes"


def _version(response: requests.Response) -> str:
    """A validator that If-Range may carry (RFC 9110, 13.1.5); empty where the server gives none."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
