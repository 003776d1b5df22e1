"""Real demonstrations of the Bridge simulation, few and small, and damage that no writer would write."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.collect import CollectConfig, collect
from magma_ros.sim.suites import BRIDGE, Suite, Task

TASKS = ("carrot_on_plate", "eggplant_in_basket")
NUM_EACH = 6


def small_bridge(_suite: Suite, task: Task, *, render: bool) -> BridgeEnv:
    """Pictures of 64 px."""
    return BridgeEnv(task.name, image_size_px=64, render=render)


def collect_demos(folder: Path) -> None:
    """Perturbed successes of the expert, as they are trained on."""
    config = CollectConfig(make_env=small_bridge)
    collect(folder, suite=BRIDGE, tasks=TASKS, num_episodes=NUM_EACH, config=config, workers=1)


def rewrite_action(folder: Path, *, episode: int, step: int, column: int, value: float) -> None:
    """Change one number of one action in the Parquet file that holds it."""
    for path in sorted(folder.glob("data/**/*.parquet")):
        table = pq.read_table(path)
        numbers = zip(table["episode_index"].to_pylist(), table["frame_index"].to_pylist(), strict=True)
        rows = {numbered: row for row, numbered in enumerate(numbers)}
        if (episode, step) in rows:
            actions = table["action"].to_pylist()
            actions[rows[episode, step]][column] = value
            changed = pa.array(actions, table["action"].type)
            pq.write_table(table.set_column(table.column_names.index("action"), table.field("action"), changed), path)
            return
    raise AssertionError(f"no step {step} of episode {episode} under {folder}")


def cut_last_video(folder: Path) -> None:
    """Half of the newest MP4 file is lost."""
    path = max(folder.glob("videos/**/*.mp4"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
