"""One process with a healthy graph in /healthy and one with every kind of fault in /faulty, for the simulated arm."""

import contextlib

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from magma_ros.ros import conversions, interface, pictures
from magma_ros.types import Proprio

JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
GRIPPER = conversions.GripperJoint("gripper", 0.0, 1.0)
PROPRIO = Proprio(np.array([0.3, 0.0, 0.15]), np.array([0.0, 0.0, 0.0, 1.0]), 1.0, np.zeros(6))
PICTURE = np.zeros((32, 32, 3), np.uint8)


class Robot(Node):
    """Publishes what the simulated arm does, with stamps `picture_age_s` and `joints_age_s` old."""

    def __init__(self, namespace, *, picture_age_s=0.0, joints_age_s=0.0, frame="base_link", period_s=0.05):
        super().__init__("driver", namespace=namespace)
        self.picture_age_s, self.joints_age_s, self.frame = picture_age_s, joints_age_s, frame
        self.camera = interface.CAMERA.publisher(self)
        self.joints = interface.JOINTS.publisher(self)
        self.ee_pose = interface.EE_POSE.publisher(self)
        self.create_timer(period_s, self.tick)

    def tick(self):
        now_s = conversions.seconds(self.get_clock().now().to_msg())
        late, early = (
            conversions.time_message(max(0.0, now_s - age_s)) for age_s in (self.picture_age_s, self.joints_age_s)
        )
        self.camera.publish(pictures.image_message(PICTURE, stamp=late, frame_id="camera"))
        message = conversions.joint_state_message(PROPRIO, joint_names=JOINTS, gripper=GRIPPER, stamp=early)
        self.joints.publish(message)
        now = conversions.time_message(now_s)
        self.ee_pose.publish(conversions.pose_message(PROPRIO, frame=self.frame, stamp=now))


rclpy.init()
healthy = Robot("/healthy")
interface.EE_DELTA.subscribe(healthy, lambda _message: None)
commander = Node("motion_node", namespace="/healthy")
faulty = Robot("/faulty", picture_age_s=2.0, joints_age_s=-5.0, frame="world", period_s=0.5)
stray = Node("teleop", namespace="/faulty")
second = [Node("motion_node", namespace="/faulty"), Node("motion_node", namespace="/faulty")]
publishers = [interface.EE_DELTA.publisher(node) for node in (commander, stray, second[0])]
nodes = (healthy, commander, faulty, stray, *second)
executor = SingleThreadedExecutor()
for node in nodes:
    executor.add_node(node)
print("up", flush=True)
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    executor.spin()
