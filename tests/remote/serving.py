"""Real servers in a thread, real certificates, and policies that can be held up."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import trustme

from magma_ros.policy import Policy
from magma_ros.remote.access import Access, load_certificate
from magma_ros.remote.client import RemotePolicy
from magma_ros.remote.server import PolicyServer, ServerSettings
from magma_ros.types import ActionChunk, Observation
from tests.examples import CONTRACT, NO_TOKENS, make_observation

FINGERPRINT = "ab" * 32
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - of this test
WAIT_S = 20.0
"""Longest that a test waits for an event."""


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    address: str
    server: PolicyServer

    @property
    def port(self) -> int:
        return urlsplit(self.address).port

    def get(self, path: str, *, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of a page."""
        page = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        page.request("GET", path, headers=headers or {})
        response = page.getresponse()
        return response.status, response.read().decode()

    def require_answers(self) -> None:
        """A good client gets its answer."""
        policy = RemotePolicy(self.address, deadline_s=WAIT_S)
        assert make_observation().stamp_s == policy.infer(make_observation()).stamp_s
        policy.close()


@contextmanager
def serving(
    policy: Policy, *, access: Access | None = None, fingerprint: str = FINGERPRINT, **settings: object
) -> Iterator[Running]:
    """A server of `policy` on a free port of this machine, until the block ends."""
    limits = ServerSettings(**{"port": 0, "deadline_s": WAIT_S, **settings})
    server = PolicyServer(policy, name="toy", fingerprint=fingerprint, settings=limits, access=access)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    listening: asyncio.Queue[str] = asyncio.Queue()
    thread = threading.Thread(
        target=loop.run_until_complete, args=[server.run(stop, on_listening=listening.put_nowait)], daemon=True
    )
    first = asyncio.run_coroutine_threadsafe(asyncio.wait_for(listening.get(), WAIT_S), loop)
    thread.start()
    try:
        yield Running(first.result(WAIT_S), server)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()
        loop.close()


class ServedPolicy(RemotePolicy):
    """A remote policy that has its server with it; closing one stops the other."""

    def __init__(self, policy: Policy) -> None:
        self._own = ExitStack()
        super().__init__(self._own.enter_context(serving(policy)).address, deadline_s=WAIT_S)

    def close(self) -> None:
        super().close()
        self._own.close()


class EchoPolicy:
    """Answers with a motion of 1 mm along x for each second of the observation's stamp; keeps what it was asked."""

    def __init__(self, *, contract=CONTRACT) -> None:
        self.contract = contract
        self.events: list[str] = []

    def infer(self, observation: Observation) -> ActionChunk:
        self.events.append(f"infer {observation.stamp_s:g}")
        row = [1e-3 * observation.stamp_s, 0, 0, 0, 0, 0, 1]
        return ActionChunk([row], self.contract.frame, observation.stamp_s, NO_TOKENS)

    def reset(self) -> None:
        self.events.append("reset")

    def close(self) -> None:
        pass


class HeldPolicy(EchoPolicy):
    """An `EchoPolicy` whose first answer waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()

    def infer(self, observation: Observation) -> ActionChunk:
        self.is_asked.set()
        assert self.may_answer.wait(WAIT_S)
        return super().infer(observation)


@dataclass(frozen=True)
class Credentials:
    """What a server for other machines needs, and what its clients trust."""

    access: Access
    ca_file: Path


def make_credentials(folder: Path) -> Credentials:
    """A token, and a certificate for 127.0.0.1 of an authority that nobody else knows."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    certificate = folder / "certificate.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    return Credentials(Access(TOKEN, load_certificate(certificate, folder / "key.pem")), folder / "ca.pem")


def picture(seed: int = 0, *, height_px: int = 64, width_px: int = 96) -> np.ndarray:
    """Seeded noise, uint8 RGB."""
    return np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
