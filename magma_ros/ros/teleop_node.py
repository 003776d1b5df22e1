"""Keys, a joystick or a script as `teleop_twist`, of which the motion node makes checked actions; wiring only."""

from __future__ import annotations

import math
import signal
import sys
from pathlib import Path

from geometry_msgs.msg import TwistStamped, Vector3
from rclpy.logging import get_logger
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, Float64, Header

from magma_ros import arms, exit_codes, teleop_script
from magma_ros.errors import TeleopError
from magma_ros.msg import MotionStatus
from magma_ros.ros import conversions, interface
from magma_ros.ros.episode_client import EpisodeClient
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.spin import run
from magma_ros.ros.terminal import Terminal
from magma_ros.teleop_devices import HELP, Device, Joystick, JoystickMap, Keyboard, Order, Speeds, Wish
from magma_ros.teleop_script import ScriptPlayer
from magma_ros.types import Proprio

_PERIOD_S = 0.02
"""Between two twists [s]: each is a sign of life, and arms wait for one no less than 0.1 s."""
_REST_S = 0.2
"""How long a script rests before its first step [s]: a device has to rest before it moves anything."""
_OPENINGS = {Order.OPEN: 1.0, Order.CLOSE: 0.0}


class TeleopNode(Node):
    """Says 50 times a second what a person wants; while the device is silent it says nothing, and the arm rests."""

    def __init__(self) -> None:
        """Take over the device.

        Raises:
            ArmConfigError: there is no such arm, or its file has faults.
            TeleopError: there is no such device, no terminal, or the mapping or the script has faults.
        """
        super().__init__("teleop_node")
        declare(self, interface.TELEOP_PARAMETERS)
        parameters = values(self, interface.TELEOP_PARAMETERS)
        self._arm = arms.load(parameters["arm"])
        self._speeds = Speeds(parameters["speed_m_s"], parameters["speed_rad_s"])
        self._terminal: Terminal | None = None
        self._player: ScriptPlayer | None = None
        self._measured = MeasuredState(self._arm)
        self._device = self._make_device(parameters["device"], parameters)
        self._twists = interface.TELEOP_TWIST.publisher(self)
        self._openings = interface.TELEOP_GRIPPER.publisher(self)
        self._stops = interface.EMERGENCY_STOP.publisher(self)
        self._episodes = EpisodeClient(self)
        self._motion: MotionStatus | None = None
        self._ready_s = math.inf
        self._is_stopping = False
        interface.MOTION_STATUS.subscribe(self, self._on_motion_status)
        self.create_timer(_PERIOD_S, self._tick)

    def close(self) -> None:
        """Let go, and give the terminal back."""
        self._publish(Wish.nothing())
        if self._terminal is not None:
            self._terminal.close()

    def _make_device(self, kind: str, parameters: dict[str, str]) -> Device:
        if kind == "keyboard":
            self._terminal = Terminal()
            sys.stdout.write(f"{HELP}\n")
            sys.stdout.flush()
            return Keyboard(self._speeds)
        if kind == "script":
            self._measured.subscribe(self)
            self._player = ScriptPlayer(teleop_script.load(Path(parameters["script"])), self._speeds)
            return self._player
        if kind == "joystick":
            joystick = Joystick(self._speeds, JoystickMap.load(parameters["joystick"]))
            interface.JOY.subscribe(self, lambda message: self._on_joy(joystick, message))
            return joystick
        raise TeleopError(f"device: expected keyboard, joystick or script, got {kind!r}")

    def _on_joy(self, joystick: Joystick, message: Joy) -> None:
        joystick.hear(message.axes, message.buttons, self._now_s())

    def _on_motion_status(self, message: MotionStatus) -> None:
        before, self._motion = self._motion, message
        if message.state == MotionStatus.HALTED:
            self._is_stopping = False
        if before is None or (before.actor, before.reason) != (message.actor, message.reason):
            who = "you have the arm" if message.actor == MotionStatus.PERSON else "the policy has the arm"
            self.get_logger().info(f"{who}{': ' if message.reason else ''}{message.reason}")

    def _tick(self) -> None:
        self._episodes.poll()
        wish = self._read(self._now_s())
        if wish is not None:
            self._publish(wish)
            for order in wish.orders:
                self._carry_out(order)
        if self._is_stopping:
            self._stops.publish(Bool(data=True))

    def _read(self, now_s: float) -> Wish | None:
        if self._terminal is not None:
            self._read_keys(self._terminal, now_s)
        if self._player is None:
            return self._device.read(now_s)
        if self._episodes.fault:
            raise TeleopError(f"the script has ended: {self._episodes.fault}")
        if self._episodes.is_waiting or not self._is_listened_to(now_s):
            return self._player.wait(now_s)
        if self._player.has_ended:
            signal.raise_signal(signal.SIGINT)
        return self._player.read(now_s)

    def _is_listened_to(self, now_s: float) -> bool:
        """Whether arm and motion node are there, and have been for a while in which nobody moved anything."""
        is_active = self._motion is not None and self._motion.state != MotionStatus.INACTIVE
        is_measured = isinstance(self._measured.proprio(since_s=now_s - self._arm.watch.max_state_age_s), Proprio)
        is_heard = all(topic.get_subscription_count() for topic in (self._twists, self._openings))
        if not (is_active and is_measured and is_heard):
            self._ready_s = now_s + _REST_S
        return now_s >= self._ready_s

    def _read_keys(self, terminal: Terminal, now_s: float) -> None:
        assert isinstance(self._device, Keyboard)
        for key in terminal.read():
            self._device.press(key, now_s)
        if terminal.is_closed:
            raise TeleopError("the terminal was closed")

    def _publish(self, wish: Wish) -> None:
        message = TwistStamped(header=Header(stamp=self.get_clock().now().to_msg(), frame_id=self._arm.frames.base))
        x, y, z, roll, pitch, yaw = wish.twist.tolist()
        message.twist.linear, message.twist.angular = Vector3(x=x, y=y, z=z), Vector3(x=roll, y=pitch, z=yaw)
        self._twists.publish(message)

    def _carry_out(self, order: Order) -> None:
        if order is Order.EMERGENCY_STOP:
            self._is_stopping = True
        elif order in _OPENINGS:
            self._openings.publish(Float64(data=_OPENINGS[order]))
        elif order is Order.START:
            names = ("instruction", "operator")
            self._episodes.start(**{name: self.get_parameter(name).value for name in names})
        else:
            self._episodes.end(order)

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run until SIGINT or SIGTERM, the end of the script or of the device; returns the exit status."""
    try:
        return run(TeleopNode)
    except TeleopError as error:
        get_logger("magma_ros").fatal(str(error))
        return exit_codes.REFUSED


if __name__ == "__main__":
    sys.exit(main())
