"""A Ray cluster: the one of this machine or another, or a small one that is started here and seen by nobody else."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from typing import Any

from magma_ros.errors import MagmaRosError

_CONNECT_WITHIN_S = 5.0
_STORE_BYTES = 200 * 2**20  # shared memory of a node that is started here; what is sent around is small
_ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # whatever it says: the loopback interface alone
    "RAY_AUTH_MODE": "token",  # other users of this machine reach that interface, too
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # who asked for no share may use the GPU all the same
}


def connect(address: str, *, num_cpus: int, error: type[MagmaRosError]) -> Any:
    """The module `ray`, connected; Ray that is started here listens on this machine alone and reports to nobody.

    Args:
        address: `local` starts Ray on this machine for this process alone; `auto` finds the cluster that this machine
            belongs to; otherwise the address of one, host:port or ray://host:port (which needs `ray[client]`).
        num_cpus: Of a cluster that is started here.
        error: What a refusal is raised as.

    Raises:
        MagmaRosError: as `error`; Ray is not installed, or nobody answers.
    """
    if address == "local":
        for name, value in _ALONE.items():
            os.environ.setdefault(name, value)  # read when Ray is imported, here and in its processes
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as fault:
        raise error("Ray is not installed: pip install 'magma_ros[ray]'") from fault
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    if address == "local":
        options |= {"num_cpus": num_cpus, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        _require_listener(address)
        ray.init(address, **options)
    except (ImportError, OSError, RuntimeError, ValueError) as fault:
        raise error(f"no Ray cluster answers at {address!r}: {fault}") from fault
    return ray


def _require_listener(address: str) -> None:
    """Raise OSError when nobody listens at host:port; Ray itself goes on trying for long."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=_CONNECT_WITHIN_S).close()
