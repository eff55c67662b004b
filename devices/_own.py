"""Changes the user's own registry file, and nothing in it but the entry that is meant."""

from __future__ import annotations

import tomlkit
from tomlkit.exceptions import ParseError

from devices import NAME, registry, user_file
from harness.errors import UsageError, unknown_name
from harness.files import replacing


def check_new(name: str) -> None:
    """Raises UsageError for a name that no device can have, or that the user's file has already."""
    if not NAME.fullmatch(name):
        raise UsageError(f"device name '{name}' may hold only letters, digits and . _ -")
    if name in _document():
        raise UsageError(
            f"{user_file()} has a device '{name}' already: run `bench devices remove {name}` first"
        )


def write(name: str, settings: dict[str, object]) -> None:
    """Adds an entry. Raises UsageError."""
    check_new(name)
    document = _document()
    table = tomlkit.table()
    table.update(settings)
    if document.as_string().strip():
        document.add(tomlkit.nl())
    document.add(name, table)
    _save(document)


def remove(name: str) -> None:
    """Removes an entry. Raises UsageError where the user's file has none of that name."""
    document = _document()
    if name not in document:
        if name in registry():
            raise UsageError(f"device '{name}' is a built-in one: it is not in {user_file()}")
        raise unknown_name("device", name, document)
    document.remove(name)
    _save(document)


def _document() -> tomlkit.TOMLDocument:
    path = user_file()
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tomlkit.document()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read the device registry: {error}") from error
    except ParseError as error:
        raise UsageError(f"{path}: not a valid TOML file: {error}") from error


def _save(document: tomlkit.TOMLDocument) -> None:
    path = user_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(tomlkit.dumps(document), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
