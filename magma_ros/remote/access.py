"""Who may ask a policy server: where it listens, its token, its certificate."""

from __future__ import annotations

import hmac
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from magma_ros.errors import InvalidInputError, ServerError

TOKEN_VARIABLE = "MAGMA_ROS_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable that holds the token where no file is named; a command line would show it to every user."""

MIN_TOKEN_CHARACTERS = 16

_SCHEME = "Api-Key "
_MAX_TOKEN_BYTES = 4096


def authorization_header(token: str) -> str:
    """The value of `Authorization` that proves `token`, as `openpi-client` sends it."""
    return _SCHEME + token


def read_token(path: Path | None) -> str | None:
    """The token in the file at `path`, else in the environment variable, else None.

    Raises:
        ServerError: the file cannot be read, or the token is short or not printable ASCII without spaces.
    """
    if path is not None:
        try:
            with path.open("rb") as file:
                token = file.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(f"token: {path} cannot be read: {error}") from error
    elif TOKEN_VARIABLE in os.environ:
        token = os.environ[TOKEN_VARIABLE].strip()
    else:
        return None
    if len(token) < MIN_TOKEN_CHARACTERS or not all("!" <= character <= "~" for character in token):
        raise ServerError(
            f"token: expected at least {MIN_TOKEN_CHARACTERS} printable ASCII characters without spaces, "
            f"got {len(token)} (make one: openssl rand -hex 32)"
        )
    return token


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks of its clients.

    Attributes:
        token: They must know it; None for everybody on this machine.
        tls: Certificate and key; None for unencrypted connections.
    """

    token: str | None = None
    tls: ssl.SSLContext | None = None

    def require_safe(self, host: str) -> None:
        """Refuse to be reachable from elsewhere without both a token and TLS.

        Raises:
            ServerError: `host` is not loopback and one of them is missing, or it has no address.
        """
        missing = [name for name, value in (("a token", self.token), ("a certificate", self.tls)) if value is None]
        if missing and not is_loopback(host):
            raise ServerError(
                f"host {host!r} can be reached from other machines: expected a token and a TLS certificate, "
                f"got no {' and no '.join(name.partition(' ')[2] for name in missing)} (127.0.0.1 needs neither)"
            )

    def admits(self, authorization: Sequence[str]) -> bool:
        """Whether the `Authorization` headers of a request prove the token; the comparison's time tells nothing."""
        if self.token is None:
            return True
        expected = authorization_header(self.token).encode()
        got = authorization[0].encode("utf-8", "surrogateescape") if len(authorization) == 1 else b""
        return hmac.compare_digest(expected, got)

    def __repr__(self) -> str:
        return f"Access(token={'set' if self.token else None}, tls={'set' if self.tls else None})"


def load_certificate(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS with a certificate chain and its key, both PEM; None when neither is named.

    Raises:
        ServerError: only one of them is named, or they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ServerError("TLS: expected a certificate and its key, got one of them")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that reads in one thread and writes in another (websockets' synchronous one, so openpi-client) can wait
    # in the read that a ticket woke, with its request unsent. Nothing here resumes sessions.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise ServerError(f"TLS: certificate {certificate} and key {key} cannot be used: {error}") from error
    return context


def is_loopback(host: str) -> bool:
    """Whether every address of `host` is this machine's own; an empty host means all of them, so it is not.

    Raises:
        ServerError: `host` has no address.
    """
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerError(f"host {host!r}: no address was found: {error}") from error
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _no_password() -> str:
    raise ValueError("the key is encrypted and a server has nobody to ask for its password")


def client_tls(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """What checks the certificate of the server at `url`; None for an address without TLS.

    Raises:
        InvalidInputError: the address or the file cannot be used.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InvalidInputError(f"address: expected ws://host:port or wss://host:port, got {url!r}")
    if parts.scheme == "ws":
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"ca_file: {ca_file} cannot be used: {error}") from error


def client_headers(url: str, token: str | None) -> dict[str, str]:
    """The headers that show `token` to the server at `url`.

    Raises:
        InvalidInputError: it would be sent unencrypted to another machine.
    """
    if token is None:
        return {}
    parts = urlsplit(url)
    if parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        raise InvalidInputError(f"{url}: expected wss:// to another machine, a token would be sent unencrypted")
    return {"Authorization": authorization_header(token)}
