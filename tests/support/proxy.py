"""A TCP proxy on loopback that can cut its connections, stall them and slow them down."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST
CHUNK = 4096


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`.

    sent: bytes forwarded to the target since the start, over all connections. cut_at: when `sent` reaches it,
    exactly that many bytes have gone through, and every connection is reset; only once. stalled: while set,
    nothing is forwarded in either direction and nobody is told. bytes_per_s: to the target.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.sent = 0
        self.cut_at: int | None = None
        self.cuts = 0
        self.bytes_per_s: float | None = None
        self.stalled = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Resets every connection."""
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
            with contextlib.suppress(OSError):
                sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                return
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            for source, sink, counted in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._forward, args=(source, sink, counted), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                while self.stalled.is_set():
                    time.sleep(0.01)
                if counted:
                    chunk, cut = self._count(chunk)
                    if self.bytes_per_s:
                        time.sleep(len(chunk) / self.bytes_per_s)
                    sink.sendall(chunk)
                    if cut:
                        self.cut()
                        return
                else:
                    sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def _count(self, chunk: bytes) -> tuple[bytes, bool]:
        with self._lock:
            if self.cut_at is None or self.sent + len(chunk) < self.cut_at:
                self.sent += len(chunk)
                return chunk, False
            chunk = chunk[: max(0, self.cut_at - self.sent)]
            self.sent += len(chunk)
            self.cut_at = None
            self.cuts += 1
            return chunk, True
