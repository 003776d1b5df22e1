"""What must not be shipped: sends the last action's speed on for ever, and checks nothing."""

import sys

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_srvs.srv import Trigger

from magma_ros import arms
from magma_ros.ros import endpoints, interface
from magma_ros.ros.spin import run
from magma_ros.sim.faults.settings import CONTRACT


class NaiveMotionNode(Node):
    def __init__(self):
        super().__init__("motion_node")
        arm = arms.load(self.declare_parameter("arm", "").value)
        self._last = TwistStamped()
        self._commands = self.create_publisher(TwistStamped, arm.output.topic, endpoints.COMMAND.profile())
        interface.POLICY_ACTION.subscribe(self, self._on_action)
        self.create_timer(1.0 / arm.command_rate_hz, self._repeat)
        for name in (interface.HALT.name, interface.RESET_HALT.name):
            self.create_service(Trigger, name, lambda _request, response: response)

    def close(self):
        pass

    def _on_action(self, action):
        self._last.header.frame_id = action.header.frame_id
        for axis in "xyz":
            speed = getattr(action.translation_m, axis) * CONTRACT.control_rate_hz
            setattr(self._last.twist.linear, axis, speed)

    def _repeat(self):
        self._last.header.stamp = self.get_clock().now().to_msg()
        self._commands.publish(self._last)


if __name__ == "__main__":
    sys.exit(run(NaiveMotionNode))
