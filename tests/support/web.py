"""An HTTP server on loopback that can fail in the ways of real ones, and a proxy in front of it."""

from __future__ import annotations

import http.server
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer. cut, stall: after so many bytes of content. declared: a false length.

    status: the answer's, without content. unsized: no Content-Length. headers: false ones.
    """

    cut: int | None = None
    stall: int | None = None
    declared: int | None = None
    status: int | None = None
    unsized: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


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
        if first and first >= len(page.content):
            self.send_error(416)
            return
        content = page.content[first:]
        headers = {} if page.etag is None else {"ETag": page.etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(page.content) - 1}/{len(page.content)}"
        if not fault.unsized:
            headers["Content-Length"] = str(len(content) if fault.declared is None else fault.declared)
        self.send_response(206 if first else 200)
        for name, value in (headers | dict(fault.headers)).items():
            self.send_header(name, value)
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
def running_site(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """context: of TLS, for an https site."""
    scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
    with _running(_Handler, context) as server:
        site = server.RequestHandlerClass.site = Site(f"{scheme}://{host}:{server.server_port}")
        try:
            yield site
        finally:
            site.closing.set()


@contextmanager
def _running(
    handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[http.server.HTTPServer]:
    """The handler's class is the server's own: what is set there is seen by its requests alone."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (handler,), {}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tls_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """For a server called localhost, and the certificate that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(encoding))
    private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


@dataclass
class WebProxy:
    """asked: the first line of every request."""

    url: str
    asked: list[str] = field(default_factory=list)


class _ProxyHandler(http.server.BaseHTTPRequestHandler):
    proxy: WebProxy

    def do_CONNECT(self) -> None:
        self.proxy.asked.append(self.requestline)
        host, _, port = self.path.partition(":")
        self._forward(socket.create_connection((host, int(port))), b"", b"HTTP/1.0 200 OK\r\n\r\n")

    def do_GET(self) -> None:
        self.proxy.asked.append(self.requestline)
        where = urlsplit(self.path)
        head = f"GET {where.path} HTTP/1.0\r\n{self.headers}"
        self._forward(socket.create_connection((where.hostname, where.port)), head.encode(), b"")

    def _forward(self, server: socket.socket, to_server: bytes, to_client: bytes) -> None:
        server.sendall(to_server)
        self.connection.sendall(to_client)
        other = {server: self.connection, self.connection: server}
        with server, suppress(OSError):
            while True:
                for ready in select.select(list(other), [], [], 10)[0]:
                    if not (chunk := ready.recv(CHUNK)):
                        return
                    other[ready].sendall(chunk)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_proxy() -> Iterator[WebProxy]:
    """Forwards what it is asked for, with CONNECT and without."""
    with _running(_ProxyHandler) as server:
        server.RequestHandlerClass.proxy = WebProxy(f"http://127.0.0.1:{server.server_port}")
        yield server.RequestHandlerClass.proxy
