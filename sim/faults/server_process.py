"""The real policy server around the stand-in policy: `server_process.py CHECKPOINT PORT`, until it is killed."""

from __future__ import annotations

import asyncio
import sys

from magma_ros.load_options import LoadOptions
from magma_ros.remote.server import PolicyServer, ServerSettings
from magma_ros.sim.faults.policy_process import load


def main() -> None:
    """Serve on loopback."""
    checkpoint, port = sys.argv[1:]
    policy = load(checkpoint, LoadOptions(), 0.0)
    server = PolicyServer(policy, name="stand_in", settings=ServerSettings(port=int(port)))
    asyncio.run(server.run(asyncio.Event(), on_listening=print))


if __name__ == "__main__":
    main()
