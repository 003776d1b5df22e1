"""The graph contract in one table: topics, services, actions and parameters."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import CameraInfo, Image, JointState, Joy
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from magma_ros.action import Ask, ExecuteInstruction
from magma_ros.msg import ActionChunk, EndEffectorDelta, MotionStatus, PolicyStatus, PredictedTraces
from magma_ros.ros.endpoints import COMMAND, LATCHED, SENSOR, STATE, STOP_REQUESTED, Parameter, Qos, Service, Topic
from magma_ros.srv import EndEpisode, Ground, PredictTrace, ResetWorld, SetInstruction, StartEpisode, SwapPolicy

CAMERA = Topic("camera/image_raw", Image, SENSOR, SENSOR, "what the policy sees; stamp is the capture time")
JOINTS = Topic(
    "joint_states", JointState, STATE, SENSOR, "arm joints from base to wrist [rad] and the gripper joint, measured"
)
EE_POSE = Topic("ee_pose", PoseStamped, STATE, SENSOR, "measured end effector in the frame of its header [m]")
EE_DELTA = Topic("ee_delta", EndEffectorDelta, COMMAND, COMMAND, "command to an arm that interpolates each step itself")
INSTRUCTION = Topic("instruction", String, COMMAND, COMMAND, "as the service set_instruction, without an answer")
POLICY_ACTION = Topic(
    "policy_action", EndEffectorDelta, COMMAND, COMMAND, "what the policy wants in the next control step; no command"
)
TAKEN_ACTION = Topic(
    "taken_action",
    EndEffectorDelta,
    COMMAND,
    COMMAND,
    "an action that passed every check, as limited, whoever wanted it; no command",
)
ACTION_CONTRACT = Topic("action_contract", String, LATCHED, LATCHED, "what the policy's numbers mean, as JSON")
MOTION_STATUS = Topic("motion_status", MotionStatus, LATCHED, LATCHED, "what is commanded, and why the arm holds")
SETPOINT = Topic("setpoint", PoseStamped, STATE, SENSOR, "where the end effector is told to be now, in the base frame")
EMERGENCY_STOP = Topic("emergency_stop", Bool, COMMAND, STOP_REQUESTED, "true halts the arm; false does nothing")
TELEOP_TWIST = Topic("teleop_twist", TwistStamped, COMMAND, SENSOR, "how fast a person wants the end effector to move")
TELEOP_GRIPPER = Topic(
    "teleop_gripper", Float64, COMMAND, COMMAND, "the opening that a person wants, once for each wish"
)
JOY = Topic("joy", Joy, SENSOR, SENSOR, "axes and buttons of the joystick, as joy_node says them")
ANNOTATED = Topic("annotated/image_raw", Image, SENSOR, SENSOR, "the picture with what is done about it, for people")
PLANNED_MOTION = Topic("planned_motion", MarkerArray, STATE, SENSOR, "the action and the setpoint, for RViz")
PREDICTED_TRACES = Topic(
    "predicted_traces", PredictedTraces, COMMAND, COMMAND, "where marks in a picture will go, as the policy predicts it"
)
TRACE_MARKERS = Topic(
    "trace_markers", MarkerArray, STATE, SENSOR, "the predicted traces, 1 m in front of the camera, for RViz"
)
CAMERA_INFO = Topic("camera/camera_info", CameraInfo, STATE, SENSOR, "how the camera projects; one for each camera")
DIAGNOSTICS = Topic(
    "/diagnostics", DiagnosticArray, Qos(reliable=True, depth=10), Qos(reliable=True, depth=10), "once a second"
)
ACTION_CHUNK = Topic("action_chunk", ActionChunk, COMMAND, COMMAND, "everything that the latest inference predicted")
STATUS = Topic("policy_status", PolicyStatus, LATCHED, LATCHED, "what the policy does and why it stopped")
TASK_SUCCESS = Topic("task_success", Bool, LATCHED, LATCHED, "the simulated world's own verdict, once a control step")
VIEWER = Topic("viewer/image_raw", Image, SENSOR, SENSOR, "a larger picture for people, rendered only when subscribed")

SET_INSTRUCTION = Service("set_instruction", SetInstruction, "follow an instruction until told otherwise; empty stops")
RESET_WORLD = Service("reset_world", ResetWorld, "put the simulated world into the initial state of a seed")
HALT = Service("emergency_stop", Trigger, "halt the arm until reset_halt")
RESET_HALT = Service("reset_halt", Trigger, "let the arm move again after a halt; refused while its cause is there")
EXECUTE = Service("execute_instruction", ExecuteInstruction, "follow an instruction for a bounded number of steps")
SWAP_POLICY = Service("swap_policy", SwapPolicy, "act with another checkpoint, or with the one before")
ASK = Service("ask", Ask, "an answer in words about what a camera sees, as it is found; moves nothing")
GROUND = Service("ground", Ground, "where something that is named is in the picture")
PREDICT_TRACE = Service(
    "predict_trace", PredictTrace, "how marks in the picture will move while the robot does something"
)
START_EPISODE = Service("start_episode", StartEpisode, "record the next episode into a bag of its own")
END_EPISODE = Service(
    "end_episode", EndEpisode, "close the bag of the episode under way with its outcome, or delete it"
)

POLICY_TOPICS = (
    *(INSTRUCTION, POLICY_ACTION, ACTION_CHUNK, ACTION_CONTRACT, STATUS, MOTION_STATUS, DIAGNOSTICS),
    PREDICTED_TRACES,
)
"""Beside the cameras and the measured state, whose topics the arm's file names."""
MOTION_TOPICS = (
    *(POLICY_ACTION, ACTION_CONTRACT, STATUS, TELEOP_TWIST, TELEOP_GRIPPER, EMERGENCY_STOP),
    *(MOTION_STATUS, SETPOINT, TAKEN_ACTION, DIAGNOSTICS),
)
"""Beside the measured state and the command, whose topics the arm's file names."""
ARM_TOPICS = (CAMERA, CAMERA_INFO, JOINTS, EE_POSE, EE_DELTA, TASK_SUCCESS, VIEWER)
VIEW_TOPICS = (
    *(POLICY_ACTION, STATUS, MOTION_STATUS, SETPOINT, PREDICTED_TRACES),
    *(ANNOTATED, PLANNED_MOTION, TRACE_MARKERS),
)
TELEOP_TOPICS = (JOY, MOTION_STATUS, TELEOP_TWIST, TELEOP_GRIPPER, EMERGENCY_STOP)
POLICY_SERVICES = (SET_INSTRUCTION, EXECUTE, SWAP_POLICY, ASK, GROUND, PREDICT_TRACE)
MOTION_SERVICES = (HALT, RESET_HALT)
ARM_SERVICES = (RESET_WORLD,)
RECORDER_SERVICES = (START_EPISODE, END_EPISODE)

ARM = Parameter("arm", "sim", "name or file of the arm: frames, limits, topics, output (docs/arms.md)", read_only=True)
AUTOSTART = Parameter(
    "autostart", default=False, meaning="configure and activate at start; a failure ends the process", read_only=True
)
CAMERA_TOPIC = Parameter("camera_topic", "", "topic of the only camera; empty takes the arm's", read_only=True)
IMAGE_TRANSPORT = Parameter(
    "image_transport", "raw", "raw, or compressed: then /compressed is added to the camera's topic", read_only=True
)

POLICY_PARAMETERS = (
    ARM,
    CAMERA_TOPIC,
    IMAGE_TRANSPORT,
    Parameter("checkpoint", "", "folder, name or hub id of a checkpoint, or ws:// address of a policy server"),
    Parameter("device", "cpu", "torch device that the model runs on, such as cpu or cuda:0"),
    Parameter("dtype", "float32", "number type of the weights: float32, bfloat16 or float16"),
    Parameter("quantization", "none", "how the Llama's linear layers are stored: none, int8, int4 or nf4"),
    Parameter("embodiment", "", "name or file of what the actions mean, for a checkpoint that does not say"),
    Parameter("compile_passes", default=False, meaning="compile the runs over action tokens; the first takes longer"),
    Parameter("temperature", 0.0, "draw action tokens at this temperature; 0 takes the best", minimum=0.0, maximum=5.0),
    Parameter("sampling_seed", 0, "of the draws", minimum=0),
    Parameter("deadline_s", 5.0, "longest wait for the answer of a policy server [s]", minimum=0.05, maximum=60.0),
    AUTOSTART,
    Parameter("instruction", "", "instruction to follow from activation on; empty waits for one"),
    Parameter("execution_horizon", 1, "actions executed before the policy is asked again", minimum=1, maximum=64),
    Parameter("control_rate_hz", 0.0, "pictures acted on in a second; 0 takes the contract's [Hz]", 0.0, 100.0),
    Parameter("camera_slop_s", 0.05, "largest difference between the stamps of pictures seen together [s]", 0.0, 1.0),
    Parameter("entropy_slow_nats", 0.0, "mean entropy that halves an action; 0 takes the checkpoint's [nat]", 0.0, 6.0),
    Parameter("entropy_hold_nats", 0.0, "mean entropy that holds the arm; 0 takes the checkpoint's [nat]", 0.0, 6.0),
    Parameter("max_consecutive_stops", 15, "held steps in a row that end a goal as STOPPED", minimum=1, maximum=1000),
    Parameter("swap_trial_steps", 50, "first steps of a swapped-in policy that are watched; 0 for none", 0, 100_000),
    Parameter("swap_max_bad_share", 0.3, "share of these, refused or unsure, above which the old returns", 0.0, 1.0),
    Parameter("answer_timeout_s", 60.0, "longest wait for an answer in words [s]", 0.1, 3600.0),
    Parameter("trace_steps", 8, "control steps that the tool's trace is predicted over while acting; 0 never", 0, 64),
    Parameter(
        "max_trace_divergence",
        0.08,
        "mean distance of executed from predicted trace that warns [share of the picture's width]",
        minimum=0.001,
        maximum=2.0,
    ),
)

MOTION_PARAMETERS = (
    ARM,
    AUTOSTART,
    Parameter("dry_run", default=False, meaning="work out and report everything, publish no motion", read_only=True),
    Parameter("speed_scale", 1.0, "share of the arm's speeds and steps that is used", 0.01, 1.0, read_only=True),
    Parameter(
        "teleop_release_s",
        1.0,
        "how long a person has to let go before the policy has the arm again [s]",
        minimum=0.1,
        maximum=60.0,
        read_only=True,
    ),
)

VIEW_PARAMETERS = (ARM, CAMERA_TOPIC, IMAGE_TRANSPORT)

RECORDER_PARAMETERS = (
    ARM,
    CAMERA_TOPIC,
    IMAGE_TRANSPORT,
    Parameter(
        "output", "", "folder of the recording, which must not exist; empty names one by the time", read_only=True
    ),
    Parameter(
        "episodes",
        default=False,
        meaning="wait for start_episode; each episode is a bag of its own in `output`",
        read_only=True,
    ),
    Parameter("min_free_gib", 1.0, "free space on the disk at which recording ends [GiB]", 0.0, 1000.0, read_only=True),
)

TELEOP_PARAMETERS = (
    ARM,
    Parameter("device", "keyboard", "keyboard, joystick or script", read_only=True),
    Parameter("joystick", "xbox", "name or file of the joystick's mapping (docs/recording.md)", read_only=True),
    Parameter("script", "", "file of keys and twists that the device script plays back in time", read_only=True),
    Parameter("speed_m_s", 0.05, "speed of a key or of a stick at its end [m/s]", 0.001, 1.0, read_only=True),
    Parameter("speed_rad_s", 0.3, "same of a turn [rad/s]", 0.001, 3.0, read_only=True),
    Parameter("instruction", "", "what the next episode shows"),
    Parameter("operator", "", "who moves the arm"),
)

ARM_PARAMETERS = (
    Parameter("task", "carrot_on_plate", "what lies on the table and counts as success", read_only=True),
    Parameter("image_size_px", 128, "side of the square camera picture [px]", minimum=32, maximum=1024, read_only=True),
    Parameter("seed", 0, "initial state at start; reset_world chooses later ones", minimum=0, read_only=True),
    Parameter("real_time_factor", 1.0, "simulated seconds per second of the node's clock", 0.05, 10.0, read_only=True),
    Parameter(
        "command_slack_s", 0.4, "age beyond one control period that drops a command [s]", 0.0, 5.0, read_only=True
    ),
)

_DRIVING = (
    ARM,
    Parameter("rate_hz", 100.0, "measured state published in a second [Hz]", 10.0, 500.0, read_only=True),
    Parameter(
        "command_timeout_s", 0.0, "age of a twist that stops the arm [s]; 0 takes the arm's", 0.0, 5.0, read_only=True
    ),
    Parameter(
        "lag_s", 0.02, "time constant with which the driver follows its commands [s]", 0.001, 1.0, read_only=True
    ),
    Parameter("fault", "none", "a fault on purpose (sim/kinematic_arm.py), for wiggle to find", read_only=True),
)
DRIVER_PARAMETERS = (
    *_DRIVING,
    Parameter("noise_m", 0.0, "standard deviation of the measured position, each axis [m]", 0.0, 0.01, read_only=True),
    Parameter("noise_rad", 0.0, "same of the orientation [rad]", 0.0, 0.1, read_only=True),
)
SERVO_PARAMETERS = (
    *_DRIVING,
    *(row for row in ARM_PARAMETERS if row.name in ("task", "image_size_px", "seed")),
    Parameter("camera_rate_hz", 10.0, "pictures in a second [Hz]", 1.0, 30.0, read_only=True),
)
