"""The robot's end of a policy server: a `Policy` that asks over a WebSocket and never waits beyond its deadline."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State

from magma_ros.contract import ActionContract
from magma_ros.distant_talk import Asked, Listener, Piece
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import (
    AuthenticationError,
    ContractError,
    DeadlineExceededError,
    InvalidInputError,
    MagmaRosError,
    OverloadedError,
    ProtocolError,
    ServerGoneError,
)
from magma_ros.remote.access import client_headers, client_tls
from magma_ros.remote.loop_thread import LoopThread
from magma_ros.remote.protocol import MAX_HANDSHAKE_AND_REPLY_BYTES, Handshake, Reply, Request, error_from_text
from magma_ros.talking import Question
from magma_ros.types import ActionChunk, Observation

Answered = TypeVar("Answered", ActionChunk, Piece)

FIRST_BACKOFF_S = 0.1
_CLOSE_TIMEOUT_S = 1.0


class RemotePolicy:
    """A policy that a server answers.

    One request is under way at a time and each is sent once. When an answer does not come in time, or the connection
    is lost, the call raises and the connection is dropped, a late answer with it; the *next* call opens a new one.
    While the server stays away, calls fail at once between attempts that are ever rarer.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        deadline_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        max_backoff_s: float = 5.0,
        ca_file: Path | None = None,
        expected_fingerprint: str | None = None,
    ) -> None:
        """Connect and learn the contract.

        Args:
            url: `ws://host:port` or `wss://host:port`; proxies are not used.
            token: What the server wants to see; sent over an unencrypted connection on this machine alone.
            deadline_s: Longest that `infer` takes, a new connection included [s].
            connect_timeout_s: Longest that connecting takes [s].
            max_backoff_s: Longest pause between attempts to connect [s].
            ca_file: Certificates (PEM) that the server's must be signed by, instead of the system's.
            expected_fingerprint: Of the pipeline that must answer.

        Raises:
            InvalidInputError: the address, a time or `ca_file` cannot be used.
            ServerGoneError, AuthenticationError, OverloadedError, ProtocolError: no session was given.
            ContractError: another fingerprint than the expected one.
        """
        if not min(deadline_s, connect_timeout_s, max_backoff_s) > 0:
            raise InvalidInputError("deadline_s, connect_timeout_s, max_backoff_s: expected numbers above 0")
        self._url = url
        self._tls = client_tls(url, ca_file)
        self._headers = client_headers(url, token)
        self._deadline_s = deadline_s
        self._connect_timeout_s = connect_timeout_s
        self._max_backoff_s = max_backoff_s
        self._expected_fingerprint = expected_fingerprint
        self._connection: ClientConnection | None = None
        self._handshake: Handshake | None = None
        self._request_ids = itertools.count(1)
        self._begins_episode = True
        self._listener = Listener(self._hear)
        self._backoff_s, self._next_attempt_s = 0.0, 0.0
        self._one_at_a_time = asyncio.Lock()
        self._thread = LoopThread()
        try:
            self._thread.run(self._connected())
        except BaseException:
            self.close()
            raise

    @property
    def contract(self) -> ActionContract:
        """The contract that the server's policy acts by; it stays the same as long as this object lives."""
        return self.handshake.contract

    @property
    def fingerprint(self) -> str:
        """Of the pipeline that the server's policy acts by; it stays the same too."""
        return self.handshake.fingerprint

    @property
    def entropy_bounds(self) -> EntropyBounds | None:
        """Of the server's policy, as it was first reached."""
        return self.handshake.entropy_bounds

    @property
    def handshake(self) -> Handshake:
        """What the server said about itself when it was first reached."""
        assert self._handshake is not None  # the constructor raises otherwise
        return self._handshake

    def infer(self, observation: Observation) -> ActionChunk:
        """The server's answer.

        Raises:
            DeadlineExceededError: none came in time.
            ServerGoneError, AuthenticationError, OverloadedError: the server cannot be reached or does not let us in.
            ProtocolError: the answer is not one to this request.
            ContractError: after a new connection, another contract or fingerprint than before.
            MagmaRosError: the refusal of the server's policy, of the class that a local one would raise.
        """
        request = Request(observation, reset=self._begins_episode, request_id=next(self._request_ids))
        chunk = self._thread.run(self._ask(request, partial(_actions, stamp_s=observation.stamp_s)))
        self._begins_episode = False
        return chunk

    @property
    def talks(self) -> bool:
        """As `Talker.talks`, of the server's policy."""
        return self.handshake.talks

    @property
    def predicts_traces(self) -> bool:
        """As `Talker.predicts_traces`, of the server's policy."""
        return self.handshake.predicts_traces

    def talk(self, question: Question) -> Iterator[str]:
        """As `Talker.talk`: each piece is a request, so that actions may be asked for in between.

        Raises:
            PolicyError: the server's policy does not talk, or somebody else asked it something meanwhile.
            MagmaRosError: as `infer`.
        """
        yield from self._listener.listen(question)

    def _hear(self, asked: Asked) -> Piece:
        request = Request(None, request_id=next(self._request_ids), asked=asked)
        return self._thread.run(self._ask(request, _piece))

    def reset(self) -> None:
        """The next `infer` begins an episode; nothing is sent now."""
        self._begins_episode = True

    def close(self) -> None:
        """Close the connection; a call under way in another thread raises."""
        self._thread.close(self._close())

    async def _ask(self, request: Request, read: Callable[[Reply], Answered]) -> Answered:
        try:
            async with asyncio.timeout(self._deadline_s), self._one_at_a_time:
                connection = await self._connected()
                data = request.to_bytes()
                if len(data) > self.handshake.max_message_bytes:
                    allowed = self.handshake.max_message_bytes
                    raise InvalidInputError(f"observation: expected at most {allowed} bytes, got {len(data)}")
                answer = await self._exchange(connection, data, request.request_id, read)
        except TimeoutError:
            raise DeadlineExceededError(f"{self._url}: expected an answer within {self._deadline_s} s") from None
        if isinstance(answer, MagmaRosError):
            raise answer
        return answer

    async def _exchange(
        self, connection: ClientConnection, data: bytes, request_id: int | None, read: Callable[[Reply], Answered]
    ) -> Answered | MagmaRosError:
        try:
            await connection.send(data)
            reply = _reply(await connection.recv(), request_id)
            return reply if isinstance(reply, MagmaRosError) else read(reply)
        except ConnectionClosed as closed:
            raise ServerGoneError(f"{self._url}: the connection was lost before the answer: {closed}") from closed
        except BaseException:  # too late, interrupted or not understood: what comes now must not meet another request
            self._drop()
            raise

    async def _connected(self) -> ClientConnection:
        """The open connection, or a new one whose server is the same as before."""
        if self._connection is not None and self._connection.state is State.OPEN:
            return self._connection
        self._drop()
        wait_s = self._next_attempt_s - time.monotonic()
        if wait_s > 0:
            raise ServerGoneError(f"{self._url}: not reached at the last attempt, the next is in {wait_s:.1f} s")
        try:
            connection, handshake = await self._open()
            self._require_same(handshake)
        except BaseException:  # a deadline too: a connection whose handshake is unread must not be used
            self._backoff_s = min(max(2 * self._backoff_s, FIRST_BACKOFF_S), self._max_backoff_s)
            self._next_attempt_s = time.monotonic() + self._backoff_s
            self._drop()
            raise
        self._backoff_s, self._handshake = 0.0, self._handshake or handshake
        return connection

    async def _open(self) -> tuple[ClientConnection, Handshake]:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                self._connection = await connect(
                    self._url,
                    additional_headers=self._headers,
                    ssl=self._tls,
                    compression=None,
                    proxy=None,
                    open_timeout=self._connect_timeout_s,
                    close_timeout=_CLOSE_TIMEOUT_S,
                    max_size=MAX_HANDSHAKE_AND_REPLY_BYTES,
                )
                first = await self._connection.recv(decode=False)
        except ssl.SSLCertVerificationError as error:
            raise AuthenticationError(f"{self._url}: the certificate is not trusted: {error}") from error
        except InvalidStatus as error:
            raise self._refused(error) from error
        except (OSError, ConnectionClosed) as error:  # TimeoutError is an OSError
            reason = str(error) or type(error).__name__
            raise ServerGoneError(f"{self._url}: nobody answers: {reason}") from error
        except InvalidHandshake as error:
            raise ProtocolError(f"{self._url}: expected a WebSocket server: {error}") from error
        except (InvalidURI, UnicodeError) as error:
            raise InvalidInputError(f"address: {self._url!r} cannot be used: {error}") from error
        return self._connection, Handshake.from_bytes(first)

    def _refused(self, error: InvalidStatus) -> MagmaRosError:
        status, text = error.response.status_code, (error.response.body or b"")[:200].decode(errors="replace").strip()
        kinds: dict[int, type[MagmaRosError]] = {401: AuthenticationError, 503: OverloadedError}
        return kinds.get(status, ProtocolError)(f"{self._url}: refused with HTTP status {status}: {text}")

    def _require_same(self, handshake: Handshake) -> None:
        expected = self._expected_fingerprint if self._handshake is None else self._handshake.fingerprint
        if expected is not None and handshake.fingerprint != expected:
            raise ContractError(f"{self._url}: expected fingerprint {expected}, got {handshake.fingerprint}")
        if self._handshake is not None and handshake.contract != self._handshake.contract:
            raise ContractError(f"{self._url}: another action contract than before: {handshake.contract}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def _reply(answer: bytes | str, request_id: int | None) -> Reply | MagmaRosError:
    """The server's reply, or its refusal.

    Raises:
        ProtocolError: neither, or the answer to something else.
    """
    if isinstance(answer, str):
        refusal, answered = error_from_text(answer)
        if answered not in (None, request_id):
            raise ProtocolError(f"refusal: expected one of request {request_id}, got one of {answered}")
        return refusal
    reply = Reply.from_bytes(answer)
    if reply.request_id != request_id:
        raise ProtocolError(f"reply: expected one to request {request_id}, got an answer to {reply.request_id}")
    return reply


def _piece(reply: Reply) -> Piece:
    if reply.piece is None:
        raise ProtocolError("reply: expected a piece of an answer in words, got none")
    return reply.piece


def _actions(reply: Reply, *, stamp_s: float) -> ActionChunk:
    if reply.chunk is None:
        raise ProtocolError("reply: expected actions, got none")
    if reply.chunk.stamp_s != stamp_s:
        raise ProtocolError(f"reply: expected the stamp {stamp_s} s, got {reply.chunk.stamp_s}")
    return reply.chunk
