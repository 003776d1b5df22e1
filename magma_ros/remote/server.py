"""A policy behind a WebSocket: limits in front of it, one thread around it, health and figures beside it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from magma_ros import talking
from magma_ros.entropy_bounds import entropy_bounds_of
from magma_ros.errors import DeadlineExceededError, MagmaRosError, ProtocolError, ServerError
from magma_ros.policy import Policy
from magma_ros.remote.access import Access
from magma_ros.remote.connection import bounded_connection
from magma_ros.remote.metrics import CONTENT_TYPE, ServerMetrics
from magma_ros.remote.protocol import Handshake, Reply, Request, error_to_text
from magma_ros.remote.worker import Answer, PolicyWorker

_LOGGER = logging.getLogger(__name__)
_OTHER_SOCKETS = 16  # beside the clients: opening handshakes, health and metrics
_CLOSE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server listens and what it lets clients use up.

    Attributes:
        host: Address or name to listen on; any but loopback needs a token and TLS.
        port: TCP port; 0 takes a free one.
        deadline_s: Longest that a request may take, waiting included [s].
        max_message_mb: Longest message of a client [MiB].
        max_connections: Clients at one time.
        max_queue: Requests that may wait while another is answered.
        handshake_timeout_s: Longest that opening a connection may take [s].
        idle_timeout_s: A connection without a whole request for so long is closed [s].
        ping_interval_s: Between probes of a silent connection; one unanswered for as long again is closed [s].
    """

    host: str = "127.0.0.1"
    port: int = 8000
    deadline_s: float = 30.0
    max_message_mb: float = 16.0
    max_connections: int = 8
    max_queue: int = 4
    handshake_timeout_s: float = 5.0
    idle_timeout_s: float = 600.0
    ping_interval_s: float = 20.0

    def __post_init__(self) -> None:
        for name in ("deadline_s", "max_message_mb", "handshake_timeout_s", "idle_timeout_s", "ping_interval_s"):
            if not 0.0 < getattr(self, name) < 1e6:
                raise ServerError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        if not 0 <= self.port <= 65535 or self.max_connections < 1 or self.max_queue < 1:
            raise ServerError(
                "expected a port of 0 to 65535, at least 1 connection and a queue of at least 1, "
                f"got {self.port}, {self.max_connections} and {self.max_queue}"
            )

    @property
    def max_message_bytes(self) -> int:
        """Longest message of a client."""
        return int(self.max_message_mb * 2**20)


class ClientLeftError(MagmaRosError):
    """Nobody waits for the answer any more."""


class PolicyServer:
    """Answers the requests of WebSocket clients with one policy."""

    def __init__(
        self,
        policy: Policy,
        *,
        name: str,
        fingerprint: str = "",
        action_horizon: int = 1,
        settings: ServerSettings | None = None,
        access: Access | None = None,
    ) -> None:
        """Take over `policy`: from now on only the server's thread uses it.

        Args:
            policy: Whoever answers; it is reset and asked, and left open at the end.
            name: Of the checkpoint, for the handshake.
            fingerprint: Of its pipeline, for the handshake.
            action_horizon: Length of its chunks; another length is refused.
            settings: Address and limits.
            access: Token and certificate.

        Raises:
            ServerError: it would be reachable from elsewhere without token and TLS.
        """
        self.settings = settings or ServerSettings()
        self._access = access or Access()
        self._access.require_safe(self.settings.host)
        self._contract = policy.contract
        self._handshake = Handshake(
            policy=name,
            fingerprint=fingerprint,
            contract=policy.contract,
            action_horizon=action_horizon,
            max_message_bytes=self.settings.max_message_bytes,
            deadline_s=self.settings.deadline_s,
            idle_timeout_s=self.settings.idle_timeout_s,
            talks=talking.talks(policy),
            predicts_traces=talking.predicts_traces(policy),
            entropy_bounds=entropy_bounds_of(policy),
        ).to_bytes()
        self._worker = PolicyWorker(policy, action_horizon=action_horizon, max_queue=self.settings.max_queue)
        self._metrics = ServerMetrics(self._worker)
        self._client_numbers = itertools.count(1)

    async def run(self, stop: asyncio.Event, *, on_listening: Callable[[str], None]) -> None:
        """Serve until `stop` is set; `on_listening` gets the address once clients can connect.

        At the end, connections are closed and a running inference has until the deadline to end.

        Raises:
            ServerError: the address cannot be used.
        """
        try:
            async with await self._listen() as server:
                on_listening(self._address(server))
                await stop.wait()
        finally:
            ended = await asyncio.to_thread(self._worker.close, timeout_s=self.settings.deadline_s)
            if not ended:
                _LOGGER.warning("the policy is still busy after %s s and is left alone", self.settings.deadline_s)

    async def _listen(self) -> Server:
        settings = self.settings
        try:
            return await serve(
                self._session,
                settings.host,
                settings.port,
                process_request=self._respond,
                create_connection=bounded_connection(settings.max_connections + _OTHER_SOCKETS),
                compression=None,
                open_timeout=settings.handshake_timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=settings.ping_interval_s,
                ping_timeout=settings.ping_interval_s,
                max_size=settings.max_message_bytes,
                max_queue=1,
                server_header=None,
                ssl=self._access.tls,
            )
        except OSError as error:
            raise ServerError(f"cannot listen on {settings.host} port {settings.port}: {error}") from error

    def _address(self, server: Server) -> str:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        port = server.sockets[0].getsockname()[1]
        return f"{'wss' if self._access.tls else 'ws'}://{host}:{port}"

    def _respond(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """The answer to an HTTP request; None lets the WebSocket open."""
        if not self._access.admits(request.headers.get_all("Authorization")):
            self._metrics.count_refused("token")
            response = connection.respond(HTTPStatus.UNAUTHORIZED, "a valid token is needed\n")
            response.headers["WWW-Authenticate"] = "Api-Key"
            return response
        if request.path == "/healthz":
            return self._health(connection)
        if request.path == "/metrics":
            page = self._metrics.page(num_connections=len(connection.server.connections))
            response = connection.respond(HTTPStatus.OK, page)
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = CONTENT_TYPE
            return response
        return self._refuse_opening(connection, request)

    def _refuse_opening(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        # Browsers send an Origin and let any web page open a WebSocket to this machine; robots do not.
        if "Origin" in request.headers:
            self._metrics.count_refused("origin")
            return connection.respond(HTTPStatus.FORBIDDEN, "browsers are not served\n")
        if request.path != "/":
            self._metrics.count_refused("path")
            return connection.respond(HTTPStatus.NOT_FOUND, "available: / (WebSocket), /healthz, /metrics\n")
        if len(connection.server.connections) >= self.settings.max_connections:
            self._metrics.count_refused("full")
            text = f"at most {self.settings.max_connections} clients at one time\n"
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return None

    def _health(self, connection: ServerConnection) -> Response:
        if not self._worker.is_alive:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the policy has ended\n")
        if self._worker.busy_s > self.settings.deadline_s:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the policy is beyond its deadline\n")
        return connection.respond(HTTPStatus.OK, "ok\n")

    async def _session(self, connection: ServerConnection) -> None:
        """One client, from the handshake to the end of its connection."""
        client = next(self._client_numbers)
        try:
            await connection.send(self._handshake)
            while True:
                async with asyncio.timeout(self.settings.idle_timeout_s):
                    message = await connection.recv()
                answer = await self._answer(client, connection, message)
                async with asyncio.timeout(self.settings.idle_timeout_s):
                    await connection.send(answer)
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == CloseCode.MESSAGE_TOO_BIG:
                self._metrics.count_error("MessageTooBig")
            _LOGGER.info("client %d has left: %s", client, closed)
        except TimeoutError:
            _LOGGER.info("client %d is sent away: silent for %s s", client, self.settings.idle_timeout_s)
            await connection.close(CloseCode.POLICY_VIOLATION, f"silent for {self.settings.idle_timeout_s:g} s")

    async def _answer(self, client: int, connection: ServerConnection, message: bytes | str) -> bytes | str:
        request_id = None
        started_s = time.monotonic()
        try:
            if isinstance(message, str):
                raise ProtocolError("request: expected a binary message, got text")
            request = Request.from_bytes(message, contract=self._contract, received_s=started_s)
            request_id = request.request_id
            answer = await self._ask(client, connection, request)
        except MagmaRosError as error:
            self._metrics.count_error(type(error).__name__)
            _LOGGER.info("client %d is refused: %s: %.200s", client, type(error).__name__, error)
            return error_to_text(error, request_id=request_id)
        self._metrics.count_answer(answer)
        total_s = time.monotonic() - started_s
        timing_s = {"queue_ms": answer.queue_s, "infer_ms": answer.infer_s, "total_ms": total_s}
        timing_ms = {name: 1e3 * value for name, value in timing_s.items()}
        return Reply(answer.chunk, request_id, timing_ms, answer.piece).to_bytes()

    async def _ask(self, client: int, connection: ServerConnection, request: Request) -> Answer:
        question = self._worker.ask(client, request)
        job = asyncio.wrap_future(question)
        left = asyncio.ensure_future(connection.wait_closed())
        try:
            both: set[asyncio.Future[Any]] = {job, left}
            await asyncio.wait(both, timeout=self.settings.deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            if left.done():
                raise ClientLeftError("the client has left before its answer")
            raise DeadlineExceededError(f"expected an answer within {self.settings.deadline_s} s, got none")
        finally:
            left.cancel()
            question.cancel()  # at once, so that it leaves the queue
            job.cancel()
