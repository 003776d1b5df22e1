"""What a policy costs more behind a socket on this machine: a constant policy, asked here and in another process."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.policy import Policy
from magma_ros.remote.client import RemotePolicy
from magma_ros.remote.server import PolicyServer, ServerSettings
from magma_ros.types import ActionChunk, Observation

CONTRACT = ActionContract(
    embodiment="benchmark",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=5.0,
    max_translation_m=0.05,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("image", 256, 256),),
)
PERCENTILES = (50, 95, 99)
WARM_UP = 200


class ConstantPolicy:
    """Holds still, at no cost."""

    contract = CONTRACT

    def infer(self, observation: Observation) -> ActionChunk:
        """No motion."""
        return ActionChunk(np.zeros((1, 7)), CONTRACT.frame, observation.stamp_s, np.full((1, 7), 127999))

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to release."""


def main() -> None:
    """Print milliseconds per inference: here, behind the socket, and the difference of the percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side-px", type=int, default=256, help="of the square picture")
    parser.add_argument("--inferences", type=int, default=2000)
    options = parser.parse_args()
    side_px: int = options.side_px
    picture = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    observation = Observation({"image": picture}, "put carrot on plate", 0.0)

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=[theirs], daemon=True)
    server.start()
    remote = RemotePolicy(ours.recv())
    here_ms = percentiles_ms(ConstantPolicy(), observation, options.inferences)
    there_ms = percentiles_ms(remote, observation, options.inferences)
    remote.close()
    ours.send("stop")
    server.join()

    print(
        f"{side_px} x {side_px} px, {options.inferences} inferences, ms   " + "   ".join(f"p{p}" for p in PERCENTILES)
    )
    for name, values in (("local", here_ms), ("remote", there_ms), ("difference", there_ms - here_ms)):
        print(f"{name:<12}" + "  ".join(f"{value:.2f}" for value in values))


def serve(pipe: Connection) -> None:
    """Serve until something comes through `pipe`, after having sent the address through it."""

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        server = PolicyServer(ConstantPolicy(), name="constant", settings=ServerSettings(port=0))
        await server.run(stop, on_listening=pipe.send)

    asyncio.run(run())


def percentiles_ms(policy: Policy, observation: Observation, inferences: int) -> np.ndarray:
    """`PERCENTILES` of the time of one `infer` [ms]."""
    times_s = []
    for _ in range(WARM_UP + inferences):
        started_s = time.perf_counter()
        policy.infer(observation)
        times_s.append(time.perf_counter() - started_s)
    return 1e3 * np.percentile(times_s[WARM_UP:], PERCENTILES)


if __name__ == "__main__":
    main()
