"""What `magma-ros serve` does: a checkpoint in, a policy server until a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from magma_ros.load_options import LoadOptions
from magma_ros.remote.access import Access, load_certificate, read_token
from magma_ros.remote.server import PolicyServer, ServerSettings


def serve_checkpoint(
    checkpoint: Annotated[str, tyro.conf.Positional],
    *,
    settings: Annotated[ServerSettings, tyro.conf.arg(name="")] = ServerSettings(),  # noqa: B008 - frozen
    options: Annotated[LoadOptions, tyro.conf.arg(name="")] = LoadOptions(),  # noqa: B008 - frozen
    token_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve a checkpoint's policy over a WebSocket until SIGINT or SIGTERM, in the protocol of openpi-client.

    Args:
        checkpoint: Folder of the checkpoint, its name, or its id on the hub.
        settings: Address and limits.
        options: How the checkpoint is brought up.
        token_file: File with the token that clients must know; else the environment variable MAGMA_ROS_TOKEN.
        certificate: TLS certificate chain, PEM.
        key: Its private key, PEM, not encrypted.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a client that leaves early could else fill the log
    access = Access(read_token(token_file), load_certificate(certificate, key))
    access.require_safe(settings.host)  # before the minutes that loading may take
    from magma_ros.checkpoint import load_policy  # noqa: PLC0415 - needs torch

    policy = load_policy(checkpoint, options)
    fingerprint = policy.pipeline.fingerprint()
    name = Path(checkpoint).resolve().name
    server = PolicyServer(
        policy,
        name=name,
        fingerprint=fingerprint,
        action_horizon=policy.pipeline.action_horizon,
        settings=settings,
        access=access,
    )

    def announce(address: str) -> None:
        print(f"serving {name} at {address}, fingerprint {fingerprint}", flush=True)

    asyncio.run(_until_signal(server, announce))
    policy.close()
    print(f"stopped serving {name}", flush=True)


async def _until_signal(server: PolicyServer, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.run(stop, on_listening=announce)
