"""A second participant on the graph: its own process starts the node under test, so that everything crosses DDS."""

import gc
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from magma_ros.action import ExecuteInstruction
from magma_ros.ros import conversions, interface, pictures
from magma_ros.sim.processes import Child
from magma_ros.srv import ResetWorld, SetInstruction
from magma_ros.types import Proprio

PROPRIO = Proprio(np.array([0.3, 0.0, 0.15]), np.array([0.0, 0.0, 0.0, 1.0]), 1.0, np.zeros(6))
LIFECYCLE = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
}


class Peer:
    """Publishes what an arm would, records what the node under test says, and waits with a limit for everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("peer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received = {}
        self.publishers = {}
        self.clients, self.unsure = {}, set()
        self.children = []
        self.is_filming = False
        self.goals = ActionClient(self.node, ExecuteInstruction, interface.EXECUTE.name)

    def close(self):
        for child in self.children:
            child.stop()
        self.goals.destroy()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def start(self, name, *command, **parameters):
        pairs = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        return self.start_with(name, [*command, "--ros-args", *pairs])

    def start_with(self, name, arguments, environment=None):
        log = self.folder / f"{name}_{len(self.children)}.log"
        child = Child.start(name, [sys.executable, *arguments], log=log, environment=environment)
        self.children.append(child)
        self.unsure = set(self.clients.values())
        return child

    def listen(self, topic):
        if topic.name not in self.received:
            self.received[topic.name] = []
            self.node.create_subscription(
                topic.message, topic.name, self.received[topic.name].append, topic.requested.profile()
            )
        return self.received[topic.name]

    def listen_in(self, namespace, name):
        """Commands on the topic `name` of a namespace."""
        found = []
        qos = interface.EE_DELTA.requested.profile()
        self.node.create_subscription(interface.EE_DELTA.message, f"/{namespace}/{name}", found.append, qos)
        return found

    def publisher(self, topic):
        if topic.name not in self.publishers:
            self.publishers[topic.name] = self.node.create_publisher(topic.message, topic.name, topic.offered.profile())
        return self.publishers[topic.name]

    def spin(self, duration_s):
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def wait(self, condition, *, timeout_s=15.0, what="the condition"):
        end = time.monotonic() + timeout_s
        while not condition():
            logs = "\n".join(child.last_lines() for child in self.children)
            assert time.monotonic() < end, f"{what} did not come true within {timeout_s} s\n{logs}"
            self.executor.spin_once(timeout_sec=0.02)

    def future(self, future, *, timeout_s=15.0):
        self.wait(future.done, timeout_s=timeout_s, what="an answer")
        return future.result()

    def call(self, service_type, name, *, timeout_s=15.0, **fields):
        key = (service_type, name)
        if key not in self.clients:
            self.clients[key] = self.node.create_client(service_type, name)
        self.find(self.clients[key], name)
        return self.future(self.clients[key].call_async(service_type.Request(**fields)), timeout_s=timeout_s)

    def find(self, client, name):
        """Wait until client and server know each other: Fast DDS drops the answer to a client that is new to it.

        A client that is ready may be so for a server of before, whose place a new process has taken.
        """
        if not client.service_is_ready() or client in self.unsure:
            self.wait(client.service_is_ready, what=f"service {name}")
            self.spin(0.3)
            self.unsure.discard(client)

    def set_instruction(self, instruction):
        return self.call(SetInstruction, interface.SET_INSTRUCTION.name, instruction=instruction)

    def reset_world(self, seed):
        return self.call(ResetWorld, interface.RESET_WORLD.name, seed=seed)

    def transition(self, name):
        return self.call(ChangeState, "policy_node/change_state", transition=Transition(id=LIFECYCLE[name])).success

    def state(self):
        return self.call(GetState, "policy_node/get_state").current_state.id

    def make_active(self):
        if self.state() == State.PRIMARY_STATE_UNCONFIGURED:
            assert self.transition("configure")
        if self.state() == State.PRIMARY_STATE_INACTIVE:
            assert self.transition("activate")

    def send_goal(self, instruction, *, step_budget, timeout_s=0.0, feedback=None):
        """The goal's handle; `feedback` collects its feedback messages."""
        self.wait(self.goals.server_is_ready, what="the action server")
        goal = ExecuteInstruction.Goal(instruction=instruction, step_budget=step_budget, timeout_s=timeout_s)
        collect = None if feedback is None else lambda message: feedback.append(message.feedback)
        return self.future(self.goals.send_goal_async(goal, feedback_callback=collect))

    def result(self, handle, *, timeout_s=15.0):
        return self.future(handle.get_result_async(), timeout_s=timeout_s)

    def film(self, *, rate_hz=20.0, size_px=32):
        """Publish pictures and measured state at `rate_hz` while `is_filming`."""
        camera, joints, ee_pose = (self.publisher(t) for t in (interface.CAMERA, interface.JOINTS, interface.EE_POSE))
        gripper = conversions.GripperJoint("gripper", 0.0, 1.0)
        names = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
        picture = np.full((size_px, size_px, 3), 127, np.uint8)

        def shoot():
            if self.is_filming:
                stamp = self.node.get_clock().now().to_msg()
                joints.publish(
                    conversions.joint_state_message(PROPRIO, joint_names=names, gripper=gripper, stamp=stamp)
                )
                ee_pose.publish(conversions.pose_message(PROPRIO, frame="base_link", stamp=stamp))
                picture[0] += 1  # no two alike, as a camera's noise has it
                camera.publish(pictures.image_message(picture, stamp=stamp, frame_id="camera"))

        self.is_filming = True
        self.node.create_timer(1.0 / rate_hz, shoot)

    def write_script(self, name="scripted", *, actions=((0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0),), delay_s=0.0, **more):
        """A checkpoint folder for `scripted_policy_node.py`."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "script.json").write_text(json.dumps({"actions": list(actions), "delay_s": delay_s, **more}))
        return folder


@pytest.fixture(scope="module", autouse=True)
def _nobody_else():
    """No participant of the module before: rclpy's objects hold each other, and a swap freezes all that there is."""
    gc.unfreeze()
    gc.collect()


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    made = Peer(tmp_path_factory.mktemp("graph"))
    yield made
    made.close()
