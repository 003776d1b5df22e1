"""The rooms that need NumPy only do so."""

from __future__ import annotations

import subprocess
import sys

import pytest

NP_ROOMS = (
    "magma_ros",
    "magma_ros.errors",
    "magma_ros.exit_codes",
    "magma_ros.markup",
    "magma_ros.wording",
    "magma_ros.json_files",
    "magma_ros.yaml_files",
    "magma_ros.schema_faults",
    "magma_ros.arm",
    "magma_ros.arm_checks",
    "magma_ros.arms",
    "magma_ros.stops",
    "magma_ros.types",
    "magma_ros.contract",
    "magma_ros.geometry",
    "magma_ros.picture_files",
    "magma_ros.images",
    "magma_ros.overlay",
    "magma_ros.bag_writer",
    "magma_ros.prompts",
    "magma_ros.mark_labels",
    "magma_ros.marks",
    "magma_ros.mark_text",
    "magma_ros.click_text",
    "magma_ros.normalization",
    "magma_ros.action_tokens",
    "magma_ros.shared_files",
    "magma_ros.whole_files",
    "magma_ros.folder_lock",
    "magma_ros.sources",
    "magma_ros.embodiments",
    "magma_ros.checkpoint_files",
    "magma_ros.pipeline",
    "magma_ros.episodes",
    "magma_ros.policy",
    "magma_ros.talking",
    "magma_ros.distant_talk",
    "magma_ros.spare_time",
    "magma_ros.calibration",
    "magma_ros.camera_model",
    "magma_ros.camera_view",
    "magma_ros.picture_questions",
    "magma_ros.trace_divergence",
    "magma_ros.golden",
    "magma_ros.inquiry",
    "magma_ros.activation_report",
    "magma_ros.activation",
    "magma_ros.chunking",
    "magma_ros.safety",
    "magma_ros.turning",
    "magma_ros.motion",
    "magma_ros.transforms",
    "magma_ros.synchronizer",
    "magma_ros.setpoint",
    "magma_ros.playout",
    "magma_ros.servoing",
    "magma_ros.telemetry",
    "magma_ros.gripper",
    "magma_ros.kinematics",
    "magma_ros.controller",
    "magma_ros.supervision",
    "magma_ros.teleoperation",
    "magma_ros.teleop_devices",
    "magma_ros.teleop_script",
    "magma_ros.episode_notes",
    "magma_ros.load_options",
    "magma_ros.policies",
    "magma_ros.sampling",
    "magma_ros.in_order",
    "magma_ros.ray_cluster",
    "magma_ros.remote",
    "magma_ros.remote.codec",
    "magma_ros.remote.protocol",
    "magma_ros.remote.access",
    "magma_ros.remote.worker",
    "magma_ros.remote.metrics",
    "magma_ros.remote.connection",
    "magma_ros.remote.server",
    "magma_ros.remote.loop_thread",
    "magma_ros.remote.client",
    "magma_ros.remote.commands",
    "magma_ros.wiggle_report",
    "magma_ros.wiggle_motion",
    "magma_ros.cli",
    "magma_ros.finetune.tracks",
    "magma_ros.finetune.lucas_kanade",
    "magma_ros.finetune.camera_motion",
    "magma_ros.finetune.trace_parameters",
    "magma_ros.finetune.quality",
    "magma_ros.finetune.quality.command",
    "magma_ros.sim",
    "magma_ros.sim.env",
    "magma_ros.sim.kinematic_arm",
    "magma_ros.sim.suites",
    "magma_ros.sim.envs",
    "magma_ros.sim.moving_pictures",
    "magma_ros.sim.libero",
    "magma_ros.sim.libero.protocol",
    "magma_ros.sim.libero.convention",
    "magma_ros.sim.libero.resources",
    "magma_ros.sim.libero.guard",
    "magma_ros.sim.rollout",
    "magma_ros.sim.statistics",
    "magma_ros.sim.sequential",
    "magma_ros.sim.comparison",
    "magma_ros.sim.sweep",
    "magma_ros.sim.sweep.plan",
    "magma_ros.sim.sweep.journal",
    "magma_ros.sim.sweep.worker",
    "magma_ros.sim.sweep.inference",
    "magma_ros.sim.sweep.pool",
    "magma_ros.sim.sweep.process_pool",
    "magma_ros.sim.sweep.ray_actors",
    "magma_ros.sim.sweep.ray_pool",
    "magma_ros.sim.sweep.sweep",
    "magma_ros.sim.policies",
    "magma_ros.sim.perturbation",
    "magma_ros.sim.demonstration",
    "magma_ros.sim.attempts",
    "magma_ros.sim.collect",
    "magma_ros.sim.report",
    "magma_ros.sim.report.films",
    "magma_ros.sim.report.command",
)
BLOCKER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "tokenizers", "safetensors", "rclpy", "mujoco", "ray"}:
            raise ImportError(f"blocked: {name}")
sys.meta_path.insert(0, Blocked())
"""


def run_blocked(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKER + program], capture_output=True, text=True, check=False)


def test_np_rooms_import_without_torch_transformers_rclpy_and_mujoco() -> None:
    """Every room that promises NumPy only can be imported where nothing else is installed."""
    done = run_blocked("import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in NP_ROOMS))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["torch", "transformers", "rclpy", "mujoco", "ray"])
def test_the_blocker_blocks(name: str) -> None:
    """The test above would notice: the blocked libraries cannot be imported there."""
    done = run_blocked(f"import {name}")
    assert done.returncode != 0
    assert f"blocked: {name}" in done.stderr
