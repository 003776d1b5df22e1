"""The robot's end of the wire."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from websockets.sync.server import ServerConnection, serve
from websockets.utils import accept_key

from magma_ros.controller import Controller
from magma_ros.errors import (
    ActionDecodeError,
    AuthenticationError,
    ContractError,
    DeadlineExceededError,
    InvalidInputError,
    MagmaRosError,
    OverloadedError,
    PolicyError,
    ProtocolError,
    ServerGoneError,
)
from magma_ros.remote.access import TOKEN_VARIABLE
from magma_ros.remote.client import RemotePolicy
from magma_ros.remote.protocol import Handshake, Reply, Request
from magma_ros.sim import policies
from magma_ros.stops import Stop, StopReason
from tests.examples import CONTRACT, LIMITS, ScriptedPolicy, make_chunk, make_observation
from tests.interface.test_np_rooms import BLOCKER
from tests.remote.serving import (
    FINGERPRINT,
    TOKEN,
    WAIT_S,
    EchoPolicy,
    HeldPolicy,
    make_credentials,
    picture,
    serving,
)
from tests.sim.toy_env import ToyEnv

HANDSHAKE = Handshake("toy", FINGERPRINT, CONTRACT, 1, 10**6, 10.0, 600.0)
Maker = Callable[..., RemotePolicy]


@pytest.fixture
def reach() -> Iterator[Maker]:
    """Makes remote policies and closes them after the test."""
    made: list[RemotePolicy] = []

    def make(address: str, **options: object) -> RemotePolicy:
        made.append(RemotePolicy(address, **{"deadline_s": WAIT_S, **options}))
        return made[-1]

    yield make
    for policy in made:
        policy.close()


@contextmanager
def liar(answer: Callable[[Request], bytes | str | None]) -> Iterator[str]:
    """The address of a server that greets properly and then answers as it likes; None hangs up."""

    def session(connection: ServerConnection) -> None:
        connection.send(HANDSHAKE.to_bytes())
        for message in connection:
            said = answer(Request.from_bytes(message, contract=CONTRACT, received_s=0.0))
            if said is None:
                return
            connection.send(said)

    with serve(session, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(WAIT_S)


def greet(listener: socket.socket, greeted: list[socket.socket]) -> None:
    """Let one client in, tell it that 64 MB are welcome, and read no more."""
    client, _ = listener.accept()
    greeted.append(client)
    opening = client.recv(4096).decode()
    key = opening.lower().partition("sec-websocket-key: ")[2]
    key = opening[len(opening) - len(key) :].partition("\r\n")[0]
    status = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    handshake = dataclasses.replace(HANDSHAKE, max_message_bytes=64 * 10**6).to_bytes()
    frame = b"\x82\x7e" + len(handshake).to_bytes(2, "big") + handshake
    client.sendall(f"{status}Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode() + frame)


def x_mm(policy: RemotePolicy, stamp_s: float) -> float:
    """What an `EchoPolicy` behind the wire says to an observation [mm]."""
    return 1e3 * policy.infer(make_observation(stamp_s=stamp_s)).actions[0, 0]


def test_it_is_the_served_policy(reach: Maker) -> None:
    """Contract, fingerprint and answers are the server's; reset reaches the policy with the next question."""
    policy = EchoPolicy()
    with serving(policy) as server:
        remote = reach(server.address, expected_fingerprint=FINGERPRINT)
        assert (CONTRACT, FINGERPRINT, "toy") == (
            remote.contract,
            remote.handshake.fingerprint,
            remote.handshake.policy,
        )
        assert [1.0, 2.0] == [x_mm(remote, 1.0), x_mm(remote, 2.0)]
        remote.reset()
        remote.reset()
        assert 3.0 == x_mm(remote, 3.0)
    assert ["reset", "infer 1", "infer 2", "reset", "infer 3"] == policy.events


def test_a_refusal_is_what_a_local_policy_would_raise(reach: Maker) -> None:
    """An undecodable answer is an ActionDecodeError here too, and stops the arm for that reason."""
    with serving(ScriptedPolicy(PolicyError("tired"))) as server, pytest.raises(PolicyError, match="tired"):
        reach(server.address).infer(make_observation())
    with serving(ScriptedPolicy(ActionDecodeError("six tokens"))) as server:
        remote = reach(server.address)
        with pytest.raises(ActionDecodeError, match="six tokens"):
            remote.infer(make_observation())
        decision = Controller(remote, limits=LIMITS).tick(make_observation(), 10.0)
        assert isinstance(decision, Stop)
        assert StopReason.UNDECODABLE is decision.reason


def test_a_late_answer_is_never_taken_for_another(reach: Maker) -> None:
    """After a passed deadline the old connection is gone, and the next answer is the one to the next question."""
    policy = HeldPolicy()
    with serving(policy) as server:
        remote = reach(server.address, deadline_s=0.2)
        started_s = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            x_mm(remote, 1.0)
        assert time.monotonic() - started_s < 2.0
        policy.may_answer.set()
        patient = reach(server.address)
        assert 2.0 == x_mm(patient, 2.0)
        remote._deadline_s = WAIT_S
        assert 3.0 == x_mm(remote, 3.0)


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: Reply(
            make_chunk([[0.0] * 7], stamp_s=request.observation.stamp_s), request.request_id - 1, {}
        ).to_bytes(),
        lambda request: Reply(make_chunk([[0.0] * 7], stamp_s=request.observation.stamp_s), None, {}).to_bytes(),
        lambda request: Reply(make_chunk([[0.0] * 7], stamp_s=-1.0), request.request_id, {}).to_bytes(),
        lambda request: Reply(None, request.request_id, {}).to_bytes(),
        lambda request: '{"error": "PolicyError", "message": "", "request_id": 77}',
        lambda request: "Traceback (most recent call last)",
        lambda request: b"\x00",
        lambda request: b"\xdd\xff\xff\xff\xff",
        lambda request: None,
        lambda request: b"\x00" * 2**21,
    ],
)
def test_a_lying_server_is_not_believed(reach: Maker, answer: Callable[[Request], bytes | str | None]) -> None:
    """Answers to another question, of another time, of another kind or size are errors, and end the connection."""
    with liar(answer) as address:
        remote = reach(address)
        for _ in range(2):
            with pytest.raises((ProtocolError, ServerGoneError)):
                remote.infer(make_observation())


def test_it_reconnects_on_the_next_call_and_never_sends_twice(reach: Maker) -> None:
    """A server that ends in the middle is an error; the next call finds the new one and begins an episode there."""
    first, second = HeldPolicy(), EchoPolicy()
    with serving(first, deadline_s=0.1) as server:
        remote = reach(server.address)
        failed = threading.Event()

        def fail() -> None:
            with pytest.raises((ServerGoneError, PolicyError)):
                x_mm(remote, 1.0)
            failed.set()

        asking = threading.Thread(target=fail)
        asking.start()
        assert first.is_asked.wait(WAIT_S)
    assert failed.wait(WAIT_S)
    with serving(second, port=server.port):
        assert 2.0 == x_mm(remote, 2.0)
    assert ["reset", "infer 2"] == second.events
    first.may_answer.set()


def test_while_nobody_answers_calls_fail_at_once(reach: Maker) -> None:
    """Between attempts, which grow rarer up to a bound, a call costs no time; a server that is back is found."""
    with serving(EchoPolicy()) as server:
        remote = reach(server.address, max_backoff_s=0.4)
        assert 1.0 == x_mm(remote, 1.0)
    reasons = []
    for _ in range(200):
        with pytest.raises(ServerGoneError) as gone:
            x_mm(remote, 2.0)
        reasons.append("nobody answers" in str(gone.value))
    assert 0 < sum(reasons) < 5
    assert 0.1 <= remote._backoff_s <= 0.4
    with serving(EchoPolicy(), port=server.port):
        assert 3.0 == first_answer(remote, 3.0)


def first_answer(remote: RemotePolicy, stamp_s: float) -> float:
    """Asks until the pause before the next attempt is over."""
    while True:
        try:
            return x_mm(remote, stamp_s)
        except ServerGoneError as gone:
            if "the next is in" not in str(gone):
                raise


def test_another_policy_behind_the_address_is_refused_until_the_first_is_back(reach: Maker) -> None:
    """After a restart with another fingerprint or contract no action comes; with the first one they come again."""
    with serving(EchoPolicy()) as server:
        remote = reach(server.address, max_backoff_s=1e-3)
        assert 1.0 == x_mm(remote, 1.0)
    other = EchoPolicy(contract=dataclasses.replace(CONTRACT, control_rate_hz=10.0))
    for policy, fingerprint in ((EchoPolicy(), "cd" * 32), (other, FINGERPRINT)):
        with serving(policy, port=server.port, fingerprint=fingerprint), pytest.raises(ContractError):
            first_answer(remote, 2.0)
        assert [] == policy.events
    with serving(EchoPolicy(), port=server.port):
        assert 3.0 == first_answer(remote, 3.0)


def test_an_unexpected_fingerprint_is_refused_at_the_start(reach: Maker) -> None:
    """Who knows the checkpoint can insist on it."""
    with serving(EchoPolicy()) as server, pytest.raises(ContractError, match="cdcd"):
        reach(server.address, expected_fingerprint="cd" * 32)


def test_token_and_certificate(reach: Maker, tmp_path) -> None:
    """Over TLS with the token there are answers; with another token or an unknown authority there is a clear error."""
    credentials = make_credentials(tmp_path)
    with serving(EchoPolicy(), access=credentials.access) as server:
        assert 1.0 == x_mm(reach(server.address, token=TOKEN, ca_file=credentials.ca_file), 1.0)
        for token in (None, TOKEN + "x"):
            with pytest.raises(AuthenticationError, match="401"):
                reach(server.address, token=token, ca_file=credentials.ca_file)
        with pytest.raises(AuthenticationError, match="certificate"):
            reach(server.address, token=TOKEN)
        with pytest.raises(ProtocolError, match="expected a WebSocket server"):
            reach(server.address.replace("wss", "ws"), token=TOKEN)


def test_a_token_never_leaves_this_machine_unencrypted() -> None:
    """`ws://` to another machine with a token is refused before anything is sent."""
    with pytest.raises(InvalidInputError, match="unencrypted"):
        RemotePolicy("ws://192.0.2.1:8000", token=TOKEN)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1", "127.0.0.1:1", "ws://", "ws://a:b", "ws://127.0.0.1:1/#x"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    """Only `ws://host:port` and `wss://host:port` are addresses."""
    with pytest.raises(InvalidInputError):
        RemotePolicy(url)


def test_a_full_server_says_so(reach: Maker) -> None:
    """The client that is too many gets an error of its own."""
    with serving(EchoPolicy(), max_connections=1) as server:
        reach(server.address)
        with pytest.raises(OverloadedError, match="at most 1"):
            reach(server.address)


def test_what_is_no_policy_server_is_told_apart(reach: Maker) -> None:
    """Nobody, somebody silent and another kind of server are errors within the time to connect."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerGoneError):
            reach(address, connect_timeout_s=0.2)
    with pytest.raises(ServerGoneError):
        reach(address)
    with serve(lambda connection: connection.send("hello"), "127.0.0.1", 0) as chatty:
        thread = threading.Thread(target=chatty.serve_forever)
        thread.start()
        with pytest.raises(ProtocolError):
            reach(f"ws://127.0.0.1:{chatty.socket.getsockname()[1]}")
        chatty.shutdown()
        thread.join(WAIT_S)


def test_the_deadline_holds_for_a_server_that_does_not_even_read(reach: Maker) -> None:
    """A request that the server leaves in the network ends like one that it leaves unanswered."""
    large = make_observation(images={"image": picture(height_px=3000, width_px=3000)})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=greet, args=[listener, greeted := []])
        greeter.start()
        remote = reach(f"ws://127.0.0.1:{listener.getsockname()[1]}", deadline_s=0.5)
        with pytest.raises(DeadlineExceededError):
            remote.infer(large)
        greeter.join(WAIT_S)
        greeted[0].close()


def test_an_observation_that_the_server_will_not_read_is_not_sent(reach: Maker) -> None:
    """The limit of the handshake is kept; smaller ones go on over the same connection."""
    policy = EchoPolicy()
    with serving(policy, max_message_mb=0.1) as server:
        remote = reach(server.address)
        with pytest.raises(InvalidInputError, match="104857"):
            remote.infer(make_observation(images={"image": picture(height_px=300, width_px=300)}))
        assert 1.0 == x_mm(remote, 1.0)


def test_closing_ends_a_call_under_way() -> None:
    """A node that shuts down does not wait for the server; a closed policy says that it is closed."""
    policy = HeldPolicy()
    with serving(policy, deadline_s=0.2) as server:
        remote = RemotePolicy(server.address)
        raised: list[BaseException] = []

        def ask() -> None:
            try:
                x_mm(remote, 1.0)
            except MagmaRosError as error:
                raised.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert policy.is_asked.wait(WAIT_S)
        remote.close()
        asking.join(WAIT_S)
        assert isinstance(raised[0], PolicyError)
        remote.close()
        with pytest.raises(PolicyError, match="closed"):
            x_mm(remote, 2.0)
        policy.may_answer.set()


def test_the_client_needs_no_torch() -> None:
    """Where torch and transformers cannot be imported, an observation is answered over the wire all the same."""
    program = """
import sys
import numpy as np
from magma_ros.remote.client import RemotePolicy
from magma_ros.types import Observation
policy = RemotePolicy(sys.argv[1])
chunk = policy.infer(Observation({"image": np.zeros((4, 4, 3), np.uint8)}, "go", 5.0))
policy.close()
print(chunk.actions[0, 0], "torch" in sys.modules)
"""
    with serving(EchoPolicy()) as server:
        command = [sys.executable, "-c", BLOCKER + program, server.address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("0.005 False\n", 0) == (done.stdout, done.returncode), done.stderr


def test_simulations_take_an_address_for_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--policy ws://…` is the served one, with the token of the environment, if it moves the environment's arm."""
    env = ToyEnv()
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with serving(EchoPolicy(contract=env.contract)) as server:
        policy = policies.load_policy(server.address, env)
        assert isinstance(policy, RemotePolicy)
        policy.close()
    other = dataclasses.replace(env.contract, frame="elsewhere")
    with serving(EchoPolicy(contract=other)) as server, pytest.raises(ContractError, match="elsewhere"):
        policies.load_policy(server.address, env)
    with pytest.raises(ServerGoneError):
        policies.load_policy(server.address, env)


def test_pictures_arrive_to_the_bit(reach: Maker) -> None:
    """What the served policy sees is what the robot saw."""
    seen = []

    class Watching(EchoPolicy):
        def infer(self, observation):
            seen.append(observation)
            return super().infer(observation)

    sent = make_observation()
    with serving(Watching()) as server:
        reach(server.address).infer(sent)
    np.testing.assert_array_equal(sent.images["image"], seen[0].images["image"])
    assert (sent.instruction, sent.stamp_s) == (seen[0].instruction, seen[0].stamp_s)
    np.testing.assert_array_equal(sent.proprio.joint_positions_rad, seen[0].proprio.joint_positions_rad)
