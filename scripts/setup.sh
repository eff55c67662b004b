#!/bin/sh
# setup.sh EXTRAS: makes .venv and installs quantbench with these extras into it, and a QEMU for the emulated
# devices: the system's where it is there or root can install it, else pip's.
set -eu
cd "$(dirname "$0")/.."

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "installing $1 with apt-get"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$1" >/dev/null
}

make_venv() {
    # Debian's python3 has the module venv, but without the package python3-venv it fails.
    python3 -m venv .venv 2>/dev/null && return
    rm -rf .venv
    apt_install python3-venv && python3 -m venv .venv && return
    rm -rf .venv
    python3 -m virtualenv -q .venv 2>/dev/null && return
    echo "cannot make .venv: install python3-venv (apt-get) or virtualenv (pip install --user virtualenv)" >&2
    exit 1
}

[ -x .venv/bin/pip ] || make_venv
.venv/bin/pip install --editable ".[$1]"

has_qemu() {
    command -v qemu-aarch64 >/dev/null && command -v qemu-arm >/dev/null
}
has_qemu || apt_install qemu-user || .venv/bin/pip install --editable ".[qemu]" ||
    echo "no QEMU could be installed: the devices qemu, qemu-a76 and qemu-armv7 will not work" >&2
