"""Tokens, certificates and loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from magma_ros.errors import ServerError
from magma_ros.remote.access import TOKEN_VARIABLE, Access, is_loopback, load_certificate, read_token
from tests.remote.serving import TOKEN


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def test_a_token_comes_from_its_file_else_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file wins, white space at its ends is not the token's, and without either there is none."""
    assert read_token(None) is None
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-environment")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert (TOKEN, "of-the-environment") == (read_token(tmp_path / "token"), read_token(None))


@pytest.mark.parametrize("content", [b"", b"short", b"with a space in between", b"\xff" * 20, "ü".encode() * 20])
def test_tokens_that_can_be_guessed_or_not_be_sent_are_refused(tmp_path: Path, content: bytes) -> None:
    """Too short, with spaces or not ASCII; the error does not show it."""
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ServerError) as refused:
        read_token(tmp_path / "token")
    assert "with a space" not in str(refused.value)


def test_a_token_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It does not mean that no token is wanted."""
    with pytest.raises(ServerError, match="cannot be read"):
        read_token(tmp_path / "token")


def test_a_token_does_not_show(tmp_path: Path) -> None:
    """Neither repr nor str of the settings holds it."""
    assert TOKEN not in f"{Access(TOKEN)!r} {Access(TOKEN)}"


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    """Both or neither; another key or a file that is none is named in the error."""
    paths = []
    for name in ("first", "second"):
        issued = trustme.CA().issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        paths.append((tmp_path / f"{name}.pem", tmp_path / f"{name}.key"))
    assert load_certificate(None, None) is None
    assert load_certificate(*paths[0]) is not None
    (certificate, key), (_, other_key) = paths
    for pair in ((certificate, None), (None, key), (certificate, other_key), (tmp_path / "none", key)):
        with pytest.raises(ServerError, match="TLS"):
            load_certificate(*pair)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - to be told apart
        ("::", False),
        ("", False),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, *, expected: bool) -> None:
    """Addresses that other machines can reach, and "all addresses", are not loopback."""
    assert expected is is_loopback(host)


def test_a_name_without_address_is_refused() -> None:
    """It is not taken for safe."""
    with pytest.raises(ServerError, match="no address"):
        is_loopback("no-such-host.invalid")
