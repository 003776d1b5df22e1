"""Limits below the WebSocket: how many sockets are open, and how much a client may leave unread."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection

MAX_UNREAD_BYTES = 4 * 2**20
"""Of answers (to pings too) that a client asked for and does not read; beyond them the connection is cut."""


def bounded_connection(max_sockets: int) -> type[ServerConnection]:
    """The connections of one server: a new socket beyond `max_sockets` is closed before it has said anything."""
    sockets: set[ServerConnection] = set()

    class BoundedConnection(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            sockets.add(self)
            if len(sockets) > max_sockets:
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            sockets.discard(self)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                self.transport.abort()

    return BoundedConnection
