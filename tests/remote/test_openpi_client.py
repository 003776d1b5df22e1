"""`openpi-client` from PyPI, as its users use it, against our server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from openpi_client.action_chunk_broker import ActionChunkBroker
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from magma_ros.errors import ActionDecodeError
from tests.examples import CONTRACT, ScriptedPolicy, make_chunk
from tests.remote.serving import FINGERPRINT, TOKEN, EchoPolicy, Running, make_credentials, picture, serving

pytestmark = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
OBSERVATION = {
    "observation/image": picture(),
    "observation/wrist_image": picture(1),
    "observation/state": np.zeros(8),
    "prompt": "put carrot on plate",
}


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(EchoPolicy()) as running:
        yield running


def open_client(server: Running) -> WebsocketClientPolicy:
    return WebsocketClientPolicy("127.0.0.1", server.port)


def test_metadata_tells_what_the_actions_mean(server: Running) -> None:
    """Contract, fingerprint, horizon and the columns' units are there before the first question."""
    client = open_client(server)
    metadata = client.get_server_metadata()
    client._ws.close()
    assert (CONTRACT.to_dict(), FINGERPRINT, 1) == (
        metadata["contract"],
        metadata["fingerprint"],
        metadata["action_horizon"],
    )
    assert ["dx_m", "dy_m", "dz_m", "rx_rad", "ry_rad", "rz_rad", "gripper_opening"] == metadata["action_columns"]


def test_an_observation_in_the_form_of_libero_gets_actions(server: Running) -> None:
    """The keys of openpi's LIBERO example are enough; actions are a float array (action_horizon, 7)."""
    client = open_client(server)
    reply = client.infer(OBSERVATION)
    client._ws.close()
    assert ((1, 7), np.float64) == (reply["actions"].shape, reply["actions"].dtype)
    assert "base_link" == reply["frame"]


def test_a_chunk_is_handed_out_action_by_action() -> None:
    """Openpi's ActionChunkBroker slices every array of the reply: all have the horizon as first axis."""
    with serving(ScriptedPolicy(make_chunk([[0.001, 0, 0, 0, 0, 0, 1]]))) as server:
        client = open_client(server)
        broker = ActionChunkBroker(client, action_horizon=1)
        assert [[0.001, 0, 0, 0, 0, 0, 1]] * 2 == [broker.infer(OBSERVATION)["actions"].tolist() for _ in range(2)]
        client._ws.close()


def test_refusals_are_shown_to_the_user() -> None:
    """The client raises with the reason in one line and without a traceback, and can go on asking."""
    with serving(ScriptedPolicy(ActionDecodeError("six tokens"), make_chunk([[0.0] * 7]))) as server:
        client = open_client(server)
        with pytest.raises(RuntimeError, match=r"InvalidInputError.*height, width, 3") as refused:
            client.infer({**OBSERVATION, "observation/image": picture().astype(np.float32)})
        assert "Traceback" not in str(refused.value)
        with pytest.raises(RuntimeError, match=r"ActionDecodeError.*six tokens"):
            client.infer(OBSERVATION)
        assert [[0.0] * 7] == client.infer(OBSERVATION)["actions"].tolist()
        client._ws.close()


def test_the_api_key_is_our_token_and_tls_is_wss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its `api_key` opens a server with a token and TLS, whose authority is in SSL_CERT_FILE."""
    credentials = make_credentials(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(credentials.ca_file))
    with serving(EchoPolicy(), access=credentials.access) as server:
        client = WebsocketClientPolicy("wss://127.0.0.1", server.port, TOKEN)
        assert (1, 7) == client.infer(OBSERVATION)["actions"].shape
        assert not client._ws.socket.session.has_ticket  # one in 800 of its connections hung on reading them
        client._ws.close()
