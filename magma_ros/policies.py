"""A policy by name: a checkpoint that is loaded here, or one that a server has loaded."""

from __future__ import annotations

from pathlib import Path

from magma_ros.load_options import LoadOptions
from magma_ros.policy import Policy

DEADLINE_S = 5.0
"""Longest wait for the answer of a policy server, unless told otherwise [s]."""


def open_policy(name: str | Path, options: LoadOptions, deadline_s: float = DEADLINE_S) -> Policy:
    """The policy of a checkpoint (folder, name or hub id), or behind the address of a policy server.

    A server (`ws://host:port`, `wss://host:port`) has options of its own and `deadline_s` [s] to answer;
    the token that it wants is taken from the environment variable `MAGMA_ROS_TOKEN`.

    Raises:
        MagmaRosError: it cannot be loaded or may not act, or nobody serves a policy at the address.
    """
    if is_address(name):
        from magma_ros.remote.access import read_token  # noqa: PLC0415 - needs websockets
        from magma_ros.remote.client import RemotePolicy  # noqa: PLC0415 - same

        return RemotePolicy(str(name), token=read_token(None), deadline_s=deadline_s)
    from magma_ros.checkpoint import load_policy  # noqa: PLC0415 - torch takes seconds

    return load_policy(name, options)


def fingerprint_of(policy: Policy) -> str:
    """The fingerprint of the pipeline behind `policy`; empty for one without a model."""
    fingerprint = getattr(policy, "fingerprint", "")
    assert isinstance(fingerprint, str)
    return fingerprint


def is_address(name: str | Path) -> bool:
    """Whether `name` is that of a policy server."""
    return str(name).startswith(("ws://", "wss://"))
