import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = {"header": "std_msgs/Header"}
FIELDS = {
    "msg.EndEffectorDelta": {
        **HEADER,
        "translation_m": "geometry_msgs/Vector3",
        "rotation_vector_rad": "geometry_msgs/Vector3",
        "gripper_opening": "double",
    },
    "msg.ActionChunk": {
        **HEADER,
        "embodiment": "string",
        "control_period_s": "double",
        "actions": "sequence<magma_ros/EndEffectorDelta>",
        "tokens": "sequence<int64>",
    },
    "msg.PolicyStatus": {
        **HEADER,
        "state": "uint8",
        "instruction": "string",
        "step": "uint32",
        "step_budget": "uint32",
        "inference_s": "double",
        "observation_age_s": "double",
        "entropy_nats": "double",
        "stop_reason": "string",
        "detail": "string",
        "checkpoint": "string",
        "fingerprint": "string",
    },
    "msg.MotionStatus": {
        **HEADER,
        "state": "uint8",
        "dry_run": "boolean",
        "reason": "string",
        "detail": "string",
        "speed_m_s": "double",
        "speed_rad_s": "double",
        "dropped_m": "double",
        "dropped_rad": "double",
        "num_taken": "uint64",
        "num_refused": "uint64",
        "actor": "uint8",
    },
    "msg.Mark": {"number": "uint32", "x_px": "double", "y_px": "double"},
    "msg.Trace": {"number": "uint32", "x_px": "sequence<double>", "y_px": "sequence<double>"},
    "msg.PredictedTraces": {
        **HEADER,
        "camera": "string",
        "width_px": "uint32",
        "height_px": "uint32",
        "step_s": "double",
        "traces": "sequence<magma_ros/Trace>",
    },
    "srv.SetInstruction.Request": {"instruction": "string"},
    "srv.SetInstruction.Response": {"accepted": "boolean", "message": "string"},
    "srv.StartEpisode.Request": {"instruction": "string", "operator_name": "string"},
    "srv.StartEpisode.Response": {"accepted": "boolean", "message": "string", "bag": "string"},
    "srv.EndEpisode.Request": {"outcome": "uint8"},
    "srv.EndEpisode.Response": {"accepted": "boolean", "message": "string"},
    "srv.ResetWorld.Request": {"seed": "int64"},
    "srv.ResetWorld.Response": {"ok": "boolean", "message": "string"},
    "srv.SwapPolicy.Request": {"checkpoint": "string"},
    "srv.SwapPolicy.Response": {"accepted": "boolean", "message": "string"},
    "srv.Ground.Request": {
        "phrase": "string",
        "camera": "string",
        "candidates": "sequence<magma_ros/Mark>",
        "columns": "uint32",
        "rows": "uint32",
    },
    "srv.Ground.Response": {
        "accepted": "boolean",
        "message": "string",
        "text": "string",
        "mark": "magma_ros/Mark",
        "drawn": "sequence<magma_ros/Mark>",
        **HEADER,
    },
    "srv.PredictTrace.Request": {
        "task": "string",
        "camera": "string",
        "marks": "sequence<magma_ros/Mark>",
        "columns": "uint32",
        "rows": "uint32",
        "num_steps": "uint32",
        "speed": "uint32",
    },
    "srv.PredictTrace.Response": {
        "accepted": "boolean",
        "message": "string",
        "text": "string",
        "predicted": "magma_ros/PredictedTraces",
    },
    "action.Ask.Goal": {"question": "string", "camera": "string", "max_new_tokens": "uint32"},
    "action.Ask.Result": {"complete": "boolean", "text": "string", "message": "string"},
    "action.Ask.Feedback": {"text": "string"},
    "action.ExecuteInstruction.Goal": {"instruction": "string", "step_budget": "uint32", "timeout_s": "double"},
    "action.ExecuteInstruction.Result": {"outcome": "uint8", "num_steps": "uint32", "message": "string"},
    "action.ExecuteInstruction.Feedback": {
        "step": "uint32",
        "inference_s": "double",
        "action": "magma_ros/EndEffectorDelta",
        "moved": "boolean",
        "stop_reason": "string",
    },
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_frozen(name) -> None:
    """The compiled interface has exactly the documented fields, in their order: changing one breaks recorded bags."""
    module, interface, *part = name.split(".")
    message = getattr(import_module(f"magma_ros.{module}"), interface)
    for step in part:
        message = getattr(message, step)
    assert list(FIELDS[name].items()) == list(message.get_fields_and_field_types().items())


def test_every_interface_file_is_built() -> None:
    """CMakeLists.txt names each file in msg/, srv/ and action/: a forgotten one would be missing without an error."""
    built = re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', (ROOT / "CMakeLists.txt").read_text())
    present = [str(path.relative_to(ROOT)) for folder in ("msg", "srv", "action") for path in (ROOT / folder).iterdir()]
    assert sorted(present) == sorted(built)


def test_the_source_package_does_not_hide_the_messages() -> None:
    """There is no msg, srv or action in the Python sources, where it would be found before the compiled one."""
    assert [] == [name for name in ("msg", "srv", "action") if (ROOT / "magma_ros" / name).exists()]
