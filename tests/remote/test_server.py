"""What clients can and cannot do to a policy server."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from magma_ros.errors import ActionDecodeError, ServerError
from magma_ros.remote import codec, connection
from magma_ros.remote.access import Access
from magma_ros.remote.protocol import Handshake, Reply, Request
from magma_ros.remote.server import PolicyServer, ServerSettings
from tests.examples import CONTRACT, ScriptedPolicy, make_chunk, make_observation
from tests.remote.serving import (
    FINGERPRINT,
    TOKEN,
    WAIT_S,
    EchoPolicy,
    HeldPolicy,
    Running,
    make_credentials,
    picture,
    serving,
)

OPENING = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
WHOLE_OPENING = OPENING + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server that every test of this file may mistreat."""
    with serving(EchoPolicy(), max_message_mb=1.0, max_connections=3) as running:
        yield running
        running.require_answers()


def open_client(server: Running, **options: object) -> ClientConnection:
    """A client that has read its handshake."""
    client = connect(server.address, compression=None, proxy=None, legacy=True, **options)
    assert Handshake.from_bytes(client.recv(WAIT_S)).contract == CONTRACT
    return client


def ask(client: ClientConnection, data: bytes | str | None = None) -> Reply | dict[str, str]:
    """The reply, or the refusal, to a message; by default to an observation at 10 s."""
    client.send(Request(make_observation()).to_bytes() if data is None else data)
    answer = client.recv(WAIT_S)
    return json.loads(answer) if isinstance(answer, str) else Reply.from_bytes(answer)


def ping_without_end(raw: socket.socket) -> None:
    """Probes that a server must answer, until it has had enough."""
    while True:
        raw.sendall((b"\x89\xfd" + b"\x00" * 4 + b"x" * 125) * 100)


def read_to_end(raw: socket.socket) -> bytes:
    """What the server says until it closes."""
    raw.settimeout(WAIT_S)
    heard = bytearray()
    try:
        while data := raw.recv(4096):
            heard += data
    except ConnectionResetError:
        heard += b"(reset)"
    return bytes(heard)


def test_a_reply_has_actions_in_si_units_and_timing(server: Running) -> None:
    """An openpi-style request gets actions, their frame and milliseconds by stage; nothing that it did not send."""
    with open_client(server) as client:
        client.send(codec.encode({"observation/image": picture(), "prompt": "go", "observation/stamp_s": 2.0}))
        reply = codec.decode(client.recv(WAIT_S))
    assert {"actions", "frame", "stamp_s", "server_timing"} == reply.keys()
    assert [[0.002, 0, 0, 0, 0, 0, 1]] == reply["actions"].tolist()
    assert (np.float64, "base_link", 2.0) == (reply["actions"].dtype, reply["frame"], reply["stamp_s"])
    assert {"queue_ms", "infer_ms", "total_ms"} == reply["server_timing"].keys()


def test_an_observation_without_a_stamp_gets_its_time_of_arrival(server: Running) -> None:
    """A client of openpi sends no stamp; two of its requests are stamped in their order."""
    with open_client(server) as client:
        data = codec.encode({"observation/image": picture(), "prompt": "go"})
        first, second = ask(client, data), ask(client, data)
    assert first.chunk.stamp_s < second.chunk.stamp_s


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "ProtocolError"),
        (b"\x80\x04\x95K.", "ProtocolError"),
        (b"\xdd\xff\xff\xff\xff" * 100, "ProtocolError"),
        ("text", "ProtocolError"),
        (codec.encode({"reset": 1}), "ProtocolError"),
        (codec.encode({"prompt": "go"}), "InvalidInputError"),
        (codec.encode({"prompt": "go", "observation/image": np.zeros((3, 8, 8), np.uint8)}), "InvalidInputError"),
    ],
)
def test_a_malformed_message_is_refused_in_one_line_and_the_connection_goes_on(
    server: Running, data: bytes | str, kind: str
) -> None:
    """The refusal is text without a traceback; the same client can ask properly after it."""
    with open_client(server) as client:
        refusal = ask(client, data)
        assert kind == refusal["error"]
        assert "Traceback" not in refusal["message"]
        assert 10.0 == ask(client).chunk.stamp_s


def test_an_oversized_message_closes_its_connection_alone(server: Running) -> None:
    """It is cut off by its announced length, before it is read."""
    with open_client(server) as client:
        with pytest.raises(ConnectionClosedError) as closed:
            ask(client, b"\x00" * 2**21)
        assert 1009 == closed.value.rcvd.code
    server.require_answers()
    assert 'magma_ros_errors_total{kind="MessageTooBig"} ' in server.get("/metrics")[1]


def test_clients_beyond_the_limit_are_turned_away_until_one_leaves(server: Running) -> None:
    """The fourth of three gets HTTP 503; the place of one that leaves is free again."""
    clients = [open_client(server) for _ in range(3)]
    with pytest.raises(InvalidStatus) as refused:
        open_client(server)
    assert 503 == refused.value.response.status_code
    for client in clients:
        client.close()
    server.require_answers()


def test_browsers_and_other_paths_are_turned_away(server: Running) -> None:
    """A web page may not open a socket to a robot's machine, and the server has one path."""
    with pytest.raises(InvalidStatus) as refused:
        open_client(server, origin="https://example.org")
    assert 403 == refused.value.response.status_code
    assert 404 == server.get("/anything")[0]


def test_health_and_figures(server: Running) -> None:
    """`/healthz` says ok; `/metrics` counts answers, refusals by class and open connections."""
    with open_client(server) as client:
        ask(client)
        ask(client, b"oops")
        assert (200, "ok\n") == server.get("/healthz")
        status, page = server.get("/metrics")
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert 200 == status
    assert float(values["magma_ros_requests_total"]) >= 2
    assert float(values['magma_ros_errors_total{kind="ProtocolError"}']) >= 1
    assert float(values["magma_ros_inference_seconds_count"]) >= 1
    assert (1.0, 0.0, 1.0) == tuple(
        float(values[f"magma_ros_{name}"]) for name in ("connections", "queue_length", "policy_alive")
    )


def test_a_client_that_dawdles_over_its_opening_is_cut_off() -> None:
    """A connection that does not finish its request in time is closed with no word about the policy."""
    with serving(EchoPolicy(), handshake_timeout_s=0.2) as server:
        for opening in (b"", b"GET / HTT", OPENING):
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                raw.sendall(opening)
                assert b"" == read_to_end(raw)
        server.require_answers()


def test_a_client_that_dawdles_over_a_message_is_cut_off() -> None:
    """A message that is announced and never finished, like silence, ends with the time for one request."""
    with serving(EchoPolicy(), idle_timeout_s=0.2) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(WHOLE_OPENING + b"\x82\xfe\x40\x00\x00\x00\x00\x00" + b"x" * 100)
            heard = read_to_end(raw)
        assert b"silent for 0.2 s" in heard
        with open_client(server) as client, pytest.raises(ConnectionClosed, match="silent"):
            client.recv(WAIT_S)
        server.require_answers()


def test_sockets_beyond_the_limit_are_closed_at_once() -> None:
    """A crowd that opens sockets and says nothing takes up a bounded number; when it leaves, clients are let in."""
    with serving(EchoPolicy(), max_connections=1, handshake_timeout_s=10 * WAIT_S) as server:
        crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for raw in crowd[17:]:
            assert read_to_end(raw) in (b"", b"(reset)")
        for raw in crowd[:17]:
            raw.shutdown(socket.SHUT_WR)
            assert read_to_end(raw) in (b"", b"(reset)")
        for raw in crowd:
            raw.close()
        server.require_answers()


def test_a_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to its pings do not pile up without end."""
    monkeypatch.setattr(connection, "MAX_UNREAD_BYTES", 2**16)
    with serving(EchoPolicy()) as server:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(WAIT_S)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(WHOLE_OPENING)
        with raw, pytest.raises((ConnectionResetError, BrokenPipeError)):
            ping_without_end(raw)
        server.require_answers()


def test_a_client_that_leaves_while_it_is_answered_harms_nobody() -> None:
    """Its answer is thrown away; what it had asked and nobody had looked at is never asked."""
    policy = HeldPolicy()
    with serving(policy) as server:
        first, second = open_client(server), open_client(server)
        first.send(Request(make_observation(stamp_s=1.0)).to_bytes())
        assert policy.is_asked.wait(WAIT_S)
        second.send(Request(make_observation(stamp_s=2.0)).to_bytes())
        with open_client(server) as third:  # its handshake comes after the second's message was read
            second.socket.shutdown(socket.SHUT_RDWR)
            first.socket.shutdown(socket.SHUT_RDWR)
            while 'magma_ros_errors_total{kind="ClientLeftError"} 2.0' not in server.get("/metrics")[1]:
                pass
            policy.may_answer.set()
            assert 3.0 == ask(third, Request(make_observation(stamp_s=3.0)).to_bytes()).chunk.stamp_s
    assert ["reset", "infer 1", "reset", "infer 3"] == policy.events


def test_a_full_queue_and_a_passed_deadline_are_refusals_that_pass() -> None:
    """One request waits, the next is refused; both that wait are told at their deadline; health says so meanwhile."""
    policy = HeldPolicy()
    with serving(policy, max_queue=1, deadline_s=0.5) as server:
        clients = [open_client(server) for _ in range(3)]
        clients[0].send(Request(make_observation()).to_bytes())
        assert policy.is_asked.wait(WAIT_S)
        clients[1].send(Request(make_observation()).to_bytes())
        while "magma_ros_queue_length 1.0" not in server.get("/metrics")[1]:
            pass
        assert "OverloadedError" == ask(clients[2])["error"]
        assert ["DeadlineExceededError"] * 2 == [json.loads(client.recv(WAIT_S))["error"] for client in clients[:2]]
        assert (503, "the policy is beyond its deadline\n") == server.get("/healthz")
        policy.may_answer.set()
        for client in clients:
            assert 10.0 == ask(client).chunk.stamp_s
            client.close()
        assert (200, "ok\n") == server.get("/healthz")


def test_faults_of_the_policy_are_refusals_without_its_inside() -> None:
    """An error of the project keeps its class and message; any other fault is named in the log alone."""
    faults = (ActionDecodeError("no action"), ZeroDivisionError("secret"), StopIteration("secret"))
    policy = ScriptedPolicy(*faults, make_chunk([[0.0] * 7]))
    with serving(policy) as server, open_client(server) as client:
        told = [ask(client) for _ in faults]
        assert 10.0 == ask(client).chunk.stamp_s
    assert ["ActionDecodeError", "PolicyError", "PolicyError"] == [refusal["error"] for refusal in told]
    assert "no action" == told[0]["message"]
    assert "secret" not in str(told)


def test_a_chunk_of_another_length_than_promised_is_refused() -> None:
    """Clients are told the action horizon in the handshake and can rely on it."""
    with serving(ScriptedPolicy(make_chunk([[0.0] * 7] * 2))) as server, open_client(server) as client:
        assert "ContractError" == ask(client)["error"]


def test_a_policy_that_ends_makes_the_server_unhealthy_and_not_silent() -> None:
    """After its thread has died, each request is refused at once and health is 503."""

    class EndingPolicy(EchoPolicy):
        def infer(self, observation):
            raise SystemExit

    with serving(EndingPolicy()) as server, open_client(server) as client:
        assert ["PolicyError"] * 2 == [ask(client)["error"] for _ in range(2)]
        assert (503, "the policy has ended\n") == server.get("/healthz")


def test_episodes_of_clients_do_not_mix() -> None:
    """The policy is reset when another client asks, and when a client says that an episode begins."""
    policy = EchoPolicy()
    with serving(policy) as server, open_client(server) as one, open_client(server) as other:
        for client, stamp_s, reset in (
            (one, 1, False),
            (one, 2, False),
            (other, 3, False),
            (one, 4, False),
            (one, 5, True),
        ):
            ask(client, Request(make_observation(stamp_s=stamp_s), reset=reset).to_bytes())
        assert Reply(None, None, {}).chunk is ask(one, Request(None, reset=True).to_bytes()).chunk
    expected = "reset, infer 1, infer 2, reset, infer 3, reset, infer 4, reset, infer 5, reset"
    assert expected == ", ".join(policy.events)


def test_nothing_is_told_without_the_token(tmp_path) -> None:
    """With no, a wrong, a doubled or a strange token, each path is answered 401 with no word about the policy."""
    with serving(EchoPolicy(), access=Access(TOKEN)) as server:
        right = f"Api-Key {TOKEN}"
        for wrong in (None, "", TOKEN, f"Bearer {TOKEN}", right + "x", right[:-1], "Api-Key ", "Api-Key \xff"):
            headers = {} if wrong is None else {"Authorization": wrong}
            for path in ("/", "/healthz", "/metrics", "/anything"):
                assert (401, "a valid token is needed\n") == server.get(path, headers=headers)
            with pytest.raises(InvalidStatus) as refused:
                open_client(server, additional_headers=headers)
            assert 401 == refused.value.response.status_code
        with pytest.raises(InvalidStatus):
            open_client(server, additional_headers=[("Authorization", right)] * 2)
        assert (200, "ok\n") == server.get("/healthz", headers={"Authorization": right})
        with open_client(server, additional_headers={"Authorization": right}) as client:
            assert 10.0 == ask(client).chunk.stamp_s


def test_tls_wants_tls_and_the_token(tmp_path) -> None:
    """Plain bytes get nothing, TLS without the token 401, both together an answer."""
    credentials = make_credentials(tmp_path)
    trusting = ssl.create_default_context(cafile=credentials.ca_file)
    with serving(EchoPolicy(), access=credentials.access, handshake_timeout_s=0.5) as server:
        assert server.address.startswith("wss://")
        for opening in (WHOLE_OPENING, b"\x16\x03\x01"):
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                raw.sendall(opening)
                assert FINGERPRINT.encode() not in read_to_end(raw)
        with pytest.raises(InvalidStatus):
            open_client(server, ssl=trusting)
        with open_client(server, ssl=trusting, additional_headers={"Authorization": f"Api-Key {TOKEN}"}) as client:
            assert 10.0 == ask(client).chunk.stamp_s


def test_other_machines_need_token_and_certificate(tmp_path) -> None:
    """Beyond loopback, a server refuses to exist without both and says what is missing."""
    complete = make_credentials(tmp_path).access
    for host in ("0.0.0.0", "", "::", "192.0.2.1"):  # noqa: S104 - to be refused
        settings = ServerSettings(host=host)
        for access, missing in (
            (Access(), "no token and no certificate"),
            (Access(token=TOKEN), "no certificate"),
            (Access(tls=complete.tls), "no token"),
        ):
            with pytest.raises(ServerError, match=missing):
                PolicyServer(EchoPolicy(), name="toy", settings=settings, access=access)
        complete.require_safe(host)


def test_a_taken_port_is_a_refusal_to_start(server: Running) -> None:
    """Two servers on one port: the second says so."""
    second = PolicyServer(EchoPolicy(), name="toy", settings=ServerSettings(port=server.port))
    with pytest.raises(ServerError, match="cannot listen"):
        asyncio.run(second.run(asyncio.Event(), on_listening=print))


@pytest.mark.parametrize(
    "wrong", [{"port": -1}, {"port": 65536}, {"max_queue": 0}, {"deadline_s": 0.0}, {"idle_timeout_s": float("nan")}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """A limit of nothing, or that is no number, is an error at the start."""
    with pytest.raises(ServerError):
        ServerSettings(**wrong)


def test_clients_are_told_when_the_server_stops() -> None:
    """They are closed with "going away", also while a request waits for the policy."""
    policy = HeldPolicy()
    with serving(policy, deadline_s=0.5) as server:
        idle, asking = open_client(server), open_client(server)
        asking.send(Request(make_observation()).to_bytes())
        assert policy.is_asked.wait(WAIT_S)
    for client in (idle, asking):
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT_S)
        assert 1001 == closed.value.rcvd.code
    policy.may_answer.set()
