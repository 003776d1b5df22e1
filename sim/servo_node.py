"""The simulated arm under a servo's commands: physics in real time at the driver's rate, pictures at the camera's."""

from __future__ import annotations

import sys
from typing import Any

from std_msgs.msg import Bool

from magma_ros.arm import Arm
from magma_ros.ros import interface, pictures
from magma_ros.ros.camera_info import camera_info_message
from magma_ros.ros.spin import run
from magma_ros.sim.arm_node import CAMERA_FRAME, VIEW_SIZE_PX
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.scene import PHYSICS_HZ, camera_matrix
from magma_ros.sim.driver_node import DriverNode
from magma_ros.srv import ResetWorld
from magma_ros.types import Pose, Proprio

_MAX_SEED = 2**53


class SimulatedBody:
    """The WidowX table-top, stepped for as long as has passed."""

    def __init__(self, _arm: Arm, options: dict[str, Any]) -> None:
        """In the initial state of the parameter `seed`.

        Raises:
            EnvError: there is no such task, or nothing can draw.
        """
        self.env = BridgeEnv(options["task"], image_size_px=options["image_size_px"])
        self.reset(options["seed"])

    def reset(self, seed: int) -> None:
        """The initial state of `seed`; `start` is where the arm is then."""
        proprio = self.env.reset(seed=seed)[0].proprio
        assert proprio is not None
        self.start = Pose(proprio.ee_position_m, proprio.ee_quat_xyzw)
        self._due_s = 0.0

    def move(self, target_in_base: Pose, opening: float, period_s: float) -> Proprio:
        """Physics towards the target; what is left of the period counts next time."""
        self._due_s += period_s
        num_substeps = int(self._due_s * PHYSICS_HZ)
        self._due_s -= num_substeps / PHYSICS_HZ
        return self.env.follow(target_in_base, opening, num_substeps=num_substeps)


class ServoNode(DriverNode):
    """A driver with a body: shows the world, and says whether the task is done."""

    _body: SimulatedBody

    def __init__(self) -> None:
        """In the initial state of the parameter `seed`.

        Raises:
            EnvError: as `DriverNode`; there is no such task, or nothing can draw.
        """
        super().__init__("servo_node", parameters=interface.SERVO_PARAMETERS, make_body=SimulatedBody)
        self._camera = interface.CAMERA.publisher(self)
        self._camera_info = interface.CAMERA_INFO.publisher(self)
        self._viewer = interface.VIEWER.publisher(self)
        self._task_success = interface.TASK_SUCCESS.publisher(self)
        self.create_service(ResetWorld, interface.RESET_WORLD.name, self._on_reset)
        self._shutter = self.create_timer(1.0 / self.get_parameter("camera_rate_hz").value, self._show)

    def close(self) -> None:
        """Nothing moves any more, and nothing is drawn."""
        self._shutter.cancel()
        super().close()
        self._body.env.close()

    def _on_reset(self, request: ResetWorld.Request, response: ResetWorld.Response) -> ResetWorld.Response:
        if 0 <= request.seed <= _MAX_SEED:
            self._body.reset(request.seed)
            self.begin_afresh(self._body.start)
            response.ok = True
        else:
            response.message = f"seed: expected 0 to {_MAX_SEED}, got {request.seed}"
        return response

    def _show(self) -> None:
        stamp = self.get_clock().now().to_msg()
        observation, info = self._body.env.look()
        self._task_success.publish(Bool(data=bool(info["success"])))
        (picture,) = observation.images.values()
        size = {"height_px": picture.shape[0], "width_px": picture.shape[1]}
        self._camera_info.publish(
            camera_info_message(camera_matrix(**size), **size, stamp=stamp, frame_id=CAMERA_FRAME)
        )
        self._camera.publish(pictures.image_message(picture, stamp=stamp, frame_id=CAMERA_FRAME))
        if self._viewer.get_subscription_count() > 0:
            width_px, height_px = VIEW_SIZE_PX
            view = self._body.env.view(width_px=width_px, height_px=height_px)
            self._viewer.publish(pictures.image_message(view, stamp=stamp, frame_id=CAMERA_FRAME))


def main() -> int:
    """Run the simulated arm until SIGINT or SIGTERM; returns the exit status."""
    return run(ServoNode)


if __name__ == "__main__":
    sys.exit(main())
