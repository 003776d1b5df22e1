"""A user of openpi's client drives the shipped checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from openpi_client import image_tools
from openpi_client.websocket_client_policy import WebsocketClientPolicy

from magma_ros.checkpoint import load_policy
from magma_ros.sim.envs import make_env
from magma_ros.sim.suites import BRIDGE
from magma_ros.types import Action
from tests.remote.serving import serving

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "magma-tiny"
SEED = 24
"""Of a trial that the checkpoint is known to win."""


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
def test_openpi_client_puts_the_carrot_on_the_plate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop as in openpi's examples wins the trial, with actions equal to the bit to those of a local policy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    task = BRIDGE.task("carrot_on_plate")
    env, local = make_env(BRIDGE, task), load_policy(CHECKPOINT)
    with serving(load_policy(CHECKPOINT), fingerprint=local.pipeline.fingerprint()) as server:
        client = WebsocketClientPolicy("127.0.0.1", server.port)
        assert local.pipeline.fingerprint() == client.get_server_metadata()["fingerprint"]
        observation, _ = env.reset(seed=SEED)
        for _ in range(task.step_budget):
            reply = client.infer(
                {
                    "observation/image": image_tools.convert_to_uint8(observation.images["image"]),
                    "observation/state": np.concatenate([observation.proprio.ee_position_m, [0.0]]),
                    "prompt": task.instruction,
                }
            )
            np.testing.assert_array_equal(local.infer(observation).actions, reply["actions"])
            observation, *_, info = env.step(Action.from_array(reply["actions"][0], frame=reply["frame"]))
        client._ws.close()
    env.close()
    assert info["success"]
