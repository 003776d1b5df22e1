"""The simulated arm as a ROS node: a world that ticks at its control rate, shows itself and does what it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Bool

from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions, interface, pictures
from magma_ros.ros.camera_info import camera_info_message
from magma_ros.ros.conversions import GripperJoint
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.spin import run
from magma_ros.sim.command_gate import CommandGate
from magma_ros.sim.env import Env
from magma_ros.srv import ResetWorld
from magma_ros.types import Action, FloatArray, ImageArray, Observation

VIEW_SIZE_PX = (480, 360)
"""Width and height of the picture for people [px]."""
CAMERA_FRAME = "camera"
GRIPPER = GripperJoint("gripper", closed_position=0.0, open_position=1.0)
_MAX_SEED = 2**53


@dataclass(frozen=True, slots=True)
class World:
    """An environment and what only its robot knows.

    Attributes:
        env: The world; used on one thread.
        joint_names: Arm joints from base to wrist.
        view: Draws a picture for people (width_px, height_px) -> (height, width, 3) uint8 RGB.
        camera_matrix: K of the camera in its picture, shape (3, 3) [px]; None when it is not known.
    """

    env: Env
    joint_names: tuple[str, ...]
    view: Callable[[int, int], ImageArray]
    camera_matrix: FloatArray | None = None


MakeWorld = Callable[[str, int], World]
"""Called as `make(task, image_size_px)`."""


def bridge_world(task: str, image_size_px: int) -> World:
    """The WidowX tabletop."""
    from magma_ros.sim.bridge.arm import ARM_JOINTS  # noqa: PLC0415  same
    from magma_ros.sim.bridge.env import BridgeEnv  # noqa: PLC0415  MuJoCo and OpenGL only where they are needed
    from magma_ros.sim.bridge.scene import camera_matrix  # noqa: PLC0415  same

    env = BridgeEnv(task, image_size_px=image_size_px)
    return World(
        env,
        ARM_JOINTS,
        lambda width_px, height_px: env.view(width_px=width_px, height_px=height_px),
        camera_matrix(width_px=image_size_px, height_px=image_size_px),
    )


class ArmNode(Node):
    """Applies the newest unused command on each tick of its control rate, and holds when there is none."""

    def __init__(self, *, make_world: MakeWorld = bridge_world) -> None:
        """Build the world, put it into the initial state of the parameter `seed`, and start to tick.

        Raises:
            EnvError: there is no such task, or nothing can draw.
        """
        super().__init__("arm_node")
        declare(self, interface.ARM_PARAMETERS)
        parameters = values(self, interface.ARM_PARAMETERS)
        self._world = make_world(parameters["task"], parameters["image_size_px"])
        contract = self._world.env.contract
        period_s = contract.control_period_s / parameters["real_time_factor"]
        self._gate = CommandGate(contract, max_age_s=period_s + parameters["command_slack_s"])
        self._gripper_goal = 1.0
        self._logged: set[str] = set()
        self._camera = interface.CAMERA.publisher(self)
        self._camera_info = interface.CAMERA_INFO.publisher(self)
        self._joints = interface.JOINTS.publisher(self)
        self._ee_pose = interface.EE_POSE.publisher(self)
        self._task_success = interface.TASK_SUCCESS.publisher(self)
        self._viewer = interface.VIEWER.publisher(self)
        self._reset(parameters["seed"])
        interface.EE_DELTA.subscribe(self, self._on_command)
        self.create_service(ResetWorld, interface.RESET_WORLD.name, self._on_reset)
        self._timer = self.create_timer(period_s, self._tick)
        self.get_logger().info(f"{contract.embodiment}: {parameters['task']}, a step every {period_s:.3f} s")

    def close(self) -> None:
        """Leave the arm still: a waiting command is dropped and the world is not stepped again."""
        self._timer.cancel()
        self._gate.clear(self._now_s())
        self._world.env.close()

    def _tick(self) -> None:
        action, dropped = self._gate.take(self._now_s())
        self._log_once(dropped)
        if action is None:
            action = self._hold()
        self._gripper_goal = action.gripper_opening
        observation, _, _, _, info = self._world.env.step(action)
        self._show(observation, success=bool(info["success"]))

    def _hold(self) -> Action:
        """No displacement, and the gripper where it was last told to be."""
        return Action(np.zeros(3), np.zeros(3), self._gripper_goal, self._world.env.contract.frame)

    def _on_command(self, message: EndEffectorDelta) -> None:
        stamp_s = conversions.seconds(message.header.stamp)
        self._log_once(self._gate.offer(conversions.action_from_message(message), stamp_s=stamp_s))

    def _on_reset(self, request: ResetWorld.Request, response: ResetWorld.Response) -> ResetWorld.Response:
        if 0 <= request.seed <= _MAX_SEED:
            self._reset(request.seed)
            response.ok = True
        else:
            response.message = f"seed: expected 0 to {_MAX_SEED}, got {request.seed}"
        return response

    def _reset(self, seed: int) -> None:
        self._gate.clear(self._now_s())
        self._gripper_goal = 1.0
        self._logged.clear()
        observation, info = self._world.env.reset(seed=seed)
        self._show(observation, success=bool(info["success"]))

    def _show(self, observation: Observation, *, success: bool) -> None:
        """Publish measured state first, so that it is there when the picture arrives, then the picture."""
        stamp = self.get_clock().now().to_msg()
        proprio = observation.proprio
        if proprio is not None:
            names, frame = self._world.joint_names, self._world.env.contract.frame
            joints = conversions.joint_state_message(proprio, joint_names=names, gripper=GRIPPER, stamp=stamp)
            self._joints.publish(joints)
            self._ee_pose.publish(conversions.pose_message(proprio, frame=frame, stamp=stamp))
        self._task_success.publish(Bool(data=success))
        picture = observation.images[self._world.env.contract.cameras[0].name]
        matrix, (height, width, _) = self._world.camera_matrix, picture.shape
        if matrix is not None:
            self._camera_info.publish(
                camera_info_message(matrix, width_px=width, height_px=height, stamp=stamp, frame_id=CAMERA_FRAME)
            )
        self._camera.publish(pictures.image_message(picture, stamp=stamp, frame_id=CAMERA_FRAME))
        if self._viewer.get_subscription_count() > 0:
            view = self._world.view(*VIEW_SIZE_PX)
            self._viewer.publish(pictures.image_message(view, stamp=stamp, frame_id=CAMERA_FRAME))

    def _log_once(self, refusal: str) -> None:
        """Warn of the first refusal of each kind since the last reset; the arm holds meanwhile."""
        kind = refusal.partition(":")[0]
        if kind and kind not in self._logged:
            self._logged.add(kind)
            self.get_logger().warning(f"command refused, the arm holds: {refusal} (further ones are not logged)")

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run the simulated arm until SIGINT or SIGTERM; returns the exit status."""
    return run(ArmNode)


if __name__ == "__main__":
    sys.exit(main())
