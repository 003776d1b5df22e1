"""Bags that a recorder could have made, without a graph."""

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from magma_ros import arms
from magma_ros.bag_writer import BagTopic, BagWriter
from magma_ros.msg import EndEffectorDelta, PolicyStatus
from magma_ros.ros import pictures
from magma_ros.ros.conversions import time_message
from magma_ros.ros.recorded_topics import bag_types, type_name

SIM = arms.load("sim")


class Recording:
    """Writes messages into a bag as if they had been received at `now_s`, in a namespace."""

    def __init__(self, folder, *, namespace=""):
        self.folder, self.now_s = folder, 1_000.0
        self._namespace = namespace
        self._messages = []

    def add(self, topic, message):
        self._messages.append((f"{self._namespace}/{topic}", round(self.now_s * 1e9), message))

    def follow(self, instruction, step=0):
        self.add("policy_status", PolicyStatus(state=PolicyStatus.ACTING, instruction=instruction, step=step))

    def measure(self):
        header = Header(stamp=time_message(self.now_s), frame_id="base_link")
        joints = JointState(header=header, name=[*SIM.home.joints, "gripper"], position=[*SIM.home.positions_rad, 1.0])
        pose = PoseStamped(header=header)
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = SIM.home.ee_position_m
        self.add("joint_states", joints)
        self.add("ee_pose", pose)

    def see(self, *, seed, topic="camera/image_raw"):
        picture = np.random.default_rng(seed).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        self.add(topic, pictures.image_message(picture, stamp=time_message(self.now_s), frame_id="camera"))

    def send(self, *, stamp_s, x_m):
        message = EndEffectorDelta(header=Header(stamp=time_message(stamp_s), frame_id="base_link"))
        message.translation_m.x, message.gripper_opening = x_m, 1.0
        self.add("policy_action", message)

    def film(self, *, num_pictures, rate_hz):
        """Measured state and a new picture, `num_pictures` times."""
        for _ in range(num_pictures):
            self.measure()
            self.see(seed=round(self.now_s * 1000))
            self.now_s += 1.0 / rate_hz

    def save(self, *, notes=None):
        topics = {name: BagTopic(name, type_name(type(message))) for name, _, message in self._messages}
        types = bag_types({topic.message for topic in topics.values()})
        writer = BagWriter(self.folder, topics, types=types, min_free_bytes=0, notes=notes or {})
        for name, stamp_ns, message in self._messages:
            writer.offer(name, stamp_ns, serialize_message(message))
        assert "" == writer.close()
        return self.folder
