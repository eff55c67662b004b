"""An HTTP server on loopback that can fail in the ways of real ones."""

from __future__ import annotations

import http.server
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer. cut, stall: after so many bytes of content. declared: a false length.

    status: the answer's, without content. unsized: no Content-Length.
    """

    cut: int | None = None
    stall: int | None = None
    declared: int | None = None
    status: int | None = None
    unsized: bool = False


@dataclass
class Page:
    """faults: of the next answers, one each; the last one stays where it is `forever`."""

    content: bytes = b""
    etag: str | None = '"1"'
    ranges: bool = True
    location: str | None = None
    faults: list[Fault] = field(default_factory=list)
    forever: bool = False

    def next_fault(self) -> Fault:
        if not self.faults:
            return Fault()
        return self.faults[0] if self.forever and len(self.faults) == 1 else self.faults.pop(0)


@dataclass
class Site:
    """pages: by path. asked: method, path and headers of every request."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, name: str, content: bytes = b"", *faults: Fault, **settings: object) -> str:
        """The URL of a new page."""
        self.pages[f"/{name}"] = Page(content, faults=list(faults), **settings)
        return f"{self.url}/{name}"

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, _, headers in self.asked]


class _Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        self.site.asked.append((self.command, self.path, dict(self.headers)))
        page = self.site.pages.get(self.path)
        fault = page.next_fault() if page else Fault(status=404)
        if fault.status is not None:
            self.send_error(fault.status)
        elif page.location is not None:
            self.send_response(302)
            self.send_header("Location", page.location)
            self.end_headers()
        else:
            self._answer(page, fault)

    def _answer(self, page: Page, fault: Fault) -> None:
        first = self._first(page)
        if first >= max(1, len(page.content)):
            self.send_error(416)
            return
        content = page.content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(page.content) - 1}/{len(page.content)}")
        if not fault.unsized:
            self.send_header(
                "Content-Length", str(len(content) if fault.declared is None else fault.declared)
            )
        if page.etag is not None:
            self.send_header("ETag", page.etag)
        self.end_headers()
        self._send(content, fault)

    def _first(self, page: Page) -> int:
        """Where the answer begins: If-Range asks for all of it where the version is another."""
        wanted = self.headers.get("Range")
        if wanted is None or not page.ranges or self.headers.get("If-Range") != page.etag:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, content: bytes, fault: Fault) -> None:
        until = fault.cut if fault.cut is not None else fault.stall
        self.wfile.write(content[:until])
        self.wfile.flush()
        if fault.stall is not None:
            self.site.closing.wait(10)
        elif fault.cut is not None:
            time.sleep(0.05)  # what was sent is read before the reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.connection.close()

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # the client is gone, or a cut closed the socket
            super().handle()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_site(context=None) -> Iterator[Site]:
    """context: of TLS, for an https site."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {}))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
    site = server.RequestHandlerClass.site = Site(f"{scheme}://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
