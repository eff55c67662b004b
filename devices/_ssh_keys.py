"""Host keys: how one is written in the registry, shown to people, and asked of a server."""

from __future__ import annotations

import base64
import hashlib
import socket
from binascii import Error as Base64Error

import paramiko

from harness.errors import ConnectionLost, DeviceError, UsageError


def parse(text: str) -> paramiko.PKey:
    """A key as OpenSSH writes it, `ssh-ed25519 AAAA…`. UsageError where it is none."""
    kind, _, encoded = text.strip().partition(" ")
    try:
        return paramiko.PKey.from_type_string(kind, base64.b64decode(encoded.split(" ")[0], validate=True))
    except (paramiko.SSHException, paramiko.UnknownKeyType, Base64Error, ValueError, IndexError) as error:
        raise UsageError(f"'{text[:60]}' is not a public key such as 'ssh-ed25519 AAAA…'") from error


def written(key: paramiko.PKey) -> str:
    """The text that `parse` reads."""
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen -l shows it: `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def of_server(sock: socket.socket | paramiko.Channel, timeout: float) -> paramiko.PKey:
    """The key that the server behind a connection proves to have. Nothing about the user is sent."""
    transport = paramiko.Transport(sock)
    try:
        transport.start_client(timeout=timeout)
        return transport.get_remote_server_key()
    except (EOFError, OSError) as error:
        raise ConnectionLost(f"the server does not answer: {error or 'it hung up'}") from error
    except paramiko.SSHException as error:
        raise DeviceError(f"no SSH server answers: {error}") from error
    finally:
        transport.close()
