"""A node that listens to instructions and joints and tells what became of them; run as a process."""

import sys

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from magma_ros import arms
from magma_ros.errors import InvalidInputError
from magma_ros.prompts import clean_instruction
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.spin import run


class ListeningNode(Node):
    """`heard` has a line per text, and per joint message that was not used."""

    def __init__(self):
        super().__init__("listening_node")
        self._heard = self.create_publisher(String, "heard", QoSProfile(depth=50))
        self.create_subscription(String, "text", self._on_text, QoSProfile(depth=50))
        self._measured = MeasuredState(arms.load("sim"))
        self._measured.subscribe(self)
        self.create_timer(0.1, self._tell)

    def _on_text(self, message):
        try:
            line = f"taken: {clean_instruction(message.data)}"
        except InvalidInputError as error:
            line = "refused: not UTF-8" if "UTF-8" in str(error) else "refused: too long"
        self._heard.publish(String(data=line))

    def _tell(self):
        self._measured.pose()
        for reason in self._measured.rejected:
            self._heard.publish(String(data=f"joints: {reason}"))

    def close(self):
        pass


if __name__ == "__main__":
    sys.exit(run(ListeningNode))
