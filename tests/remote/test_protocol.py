"""Messages and their values."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.contract import CameraSpec
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import (
    ActionDecodeError,
    ContractError,
    InvalidInputError,
    MagmaRosError,
    ProtocolError,
    RemoteRefusalError,
)
from magma_ros.remote import codec
from magma_ros.remote.protocol import (
    MAX_ERROR_CHARACTERS,
    Handshake,
    Reply,
    Request,
    error_from_text,
    error_to_text,
)
from magma_ros.types import ActionChunk, Observation, Proprio
from tests.examples import CONTRACT, NO_TOKENS, make_chunk, make_observation
from tests.remote.serving import FINGERPRINT, picture

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
IDS = st.none() | st.integers(0, 2**62)
TWO_CAMERAS = dataclasses.replace(CONTRACT, cameras=(CameraSpec("front", 8, 8), CameraSpec("image", 8, 8)))
HANDSHAKE = Handshake("toy", FINGERPRINT, CONTRACT, 1, 1000, 10.0, 600.0)


def vectors(length: int) -> st.SearchStrategy[list[float]]:
    return st.lists(NUMBERS, min_size=length, max_size=length)


OBSERVATIONS = st.builds(
    Observation,
    images=st.integers(0, 99).map(lambda seed: {"image": picture(seed, height_px=3, width_px=5)}),
    instruction=st.text(max_size=30),
    stamp_s=NUMBERS,
    proprio=st.none() | st.builds(Proprio, vectors(3), vectors(4), NUMBERS, vectors(2) | vectors(0)),
)
CHUNKS = st.integers(1, 3).flatmap(
    lambda length: st.builds(
        ActionChunk,
        st.lists(vectors(7), min_size=length, max_size=length),
        st.text(max_size=9),
        NUMBERS,
        st.just(NO_TOKENS) | st.just(np.full((length, 7), 127999)),
        st.just(np.full((length, 7), 0.25)),
    )
)


def read(message: dict[str, object], contract=CONTRACT) -> Request:
    return Request.from_bytes(codec.encode(message), contract=contract, received_s=7.0)


def described(value: object) -> object:
    """Arrays as lists, so that two values can be compared."""
    if dataclasses.is_dataclass(value):
        return {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "keys"):
        return {key: described(value[key]) for key in value}
    return (value.dtype, value.tolist()) if isinstance(value, np.ndarray) else value


@given(observation=OBSERVATIONS, reset=st.booleans(), request_id=IDS)
def test_requests_come_across(observation: Observation, *, reset: bool, request_id: int | None) -> None:
    """Pictures, instruction, stamp, proprio, reset and number are what was sent, to the bit."""
    request = Request(observation, reset, request_id)
    received = Request.from_bytes(request.to_bytes(), contract=CONTRACT, received_s=7.0)
    assert described(request) == described(received)


@given(CHUNKS, IDS)
def test_replies_come_across(chunk: ActionChunk, request_id: int | None) -> None:
    """Actions, frame, stamp, tokens and entropy are what was sent, to the bit."""
    reply = Reply(chunk, request_id, {"infer_ms": 1.5})
    assert described(reply) == described(Reply.from_bytes(reply.to_bytes()))


def test_handshake_comes_across_and_may_grow() -> None:
    """It is read back, and a key of a later server does no harm."""
    message = codec.decode(HANDSHAKE.to_bytes())
    assert HANDSHAKE == Handshake.from_bytes(HANDSHAKE.to_bytes())
    assert HANDSHAKE == Handshake.from_bytes(codec.encode({**message, "of_tomorrow": 1}))
    unsure = dataclasses.replace(HANDSHAKE, entropy_bounds=EntropyBounds(3.4, 3.7))
    assert unsure == Handshake.from_bytes(unsure.to_bytes())


def test_servers_of_before_say_nothing_of_talking_and_entropy() -> None:
    """Their handshake is read; the node's usual bounds are for them."""
    message = codec.decode(HANDSHAKE.to_bytes())
    for key in ("talks", "predicts_traces", "entropy_bounds"):
        del message[key]
    assert HANDSHAKE == Handshake.from_bytes(codec.encode(message))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"protocol": "another"}, ProtocolError),
        ({"protocol_version": 2}, ProtocolError),
        ({"fingerprint": 5}, ProtocolError),
        ({"max_message_bytes": True}, ProtocolError),
        ({"contract": {"frame": "base_link"}}, ContractError),
        ({"entropy_bounds": 3.4}, ProtocolError),
        ({"entropy_bounds": {"slow_nats": 4.0, "hold_nats": 3.0}}, ContractError),
    ],
)
def test_strange_handshakes_are_refused(changes: dict[str, object], error: type[Exception]) -> None:
    """Another protocol, version or type of value ends the session before it begins."""
    message = codec.decode(HANDSHAKE.to_bytes())
    with pytest.raises(error):
        Handshake.from_bytes(codec.encode({**message, **changes}))


def test_observation_of_openpis_libero_example_is_understood() -> None:
    """Its four keys are enough; the wrist picture and the state, which the contract does not name, are ignored."""
    message = {
        "observation/image": picture(1),
        "observation/wrist_image": picture(2),
        "observation/state": np.zeros(8, np.float32),
        "prompt": "put carrot on plate",
    }
    expected = Observation({"image": picture(1)}, "put carrot on plate", 7.0)
    assert described(Request(expected)) == described(read(message))


def test_a_picture_is_found_by_its_cameras_name_first() -> None:
    """`observation/<camera>` wins; `observation/image` stands in where there is one camera alone."""
    contract = dataclasses.replace(CONTRACT, cameras=(CameraSpec("front", 8, 8),))
    both = {"prompt": "", "observation/front": picture(1), "observation/image": picture(2)}
    assert picture(1).tolist() == read(both, contract).observation.images["front"].tolist()
    del both["observation/front"]
    assert picture(2).tolist() == read(both, contract).observation.images["front"].tolist()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"observation/image": None}, "NoneType"),
        ({"observation/image": np.zeros((8, 8, 3), np.float32)}, "float32"),
        ({"observation/image": np.zeros((3, 8, 8), np.uint8)}, r"\(height, width, 3\)"),
        ({"observation/image": np.zeros((1, 8, 8, 3), np.uint8)}, r"\(1, 8, 8, 3\)"),
        ({"observation/image": b"\x89PNG"}, "bytes"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"observation/stamp_s": float("nan")}, "stamp_s"),
        ({"observation/stamp_s": "1"}, "stamp_s"),
        ({"observation/stamp_s": True}, "stamp_s"),
        ({"observation/gripper_opening": 0.5}, "all of"),
        ({"observation/ee_position_m": np.zeros(4)}, "all of"),
    ],
)
def test_observations_that_cannot_be_used_say_why(changes: dict[str, object], named: str) -> None:
    """Only uint8 pictures with their channels last, a text and finite numbers are taken; nothing is guessed."""
    with pytest.raises(InvalidInputError, match=named):
        read({"observation/image": picture(), "prompt": "go", **changes})


def test_a_missing_picture_names_what_came() -> None:
    """Each camera of the contract must be there, by its own name when there are several."""
    with pytest.raises(InvalidInputError, match=r"camera 'front'.*observation/image"):
        read({"observation/image": picture(), "prompt": "go"}, TWO_CAMERAS)
    with pytest.raises(InvalidInputError, match=r"camera 'image'.*observation/imgae"):
        read({"observation/imgae": picture(), "prompt": "go"})


@pytest.mark.parametrize(
    "message",
    [{}, {"reset": False}, {"reset": 1}, {"instruction": "go"}, {"images": {}}, {"prompt": "a", "request_id": "1"}],
)
def test_requests_that_ask_nothing_are_refused(message: dict[str, object]) -> None:
    """Neither an observation nor a reset, unknown keys, and values of another type."""
    with pytest.raises(ProtocolError):
        read(message)


def test_a_reset_alone_is_a_request() -> None:
    """It has no observation."""
    assert Request(None, reset=True, request_id=3) == read({"reset": True, "request_id": 3})


@pytest.mark.parametrize(
    "changes",
    [{"frame": 1}, {"stamp_s": None}, {"actions": np.zeros((1, 6))}, {"actions": np.zeros((0, 7))}, {"tokens": "abc"}],
)
def test_replies_that_are_no_chunk_are_refused(changes: dict[str, object]) -> None:
    """A server cannot hand out a chunk of another shape or type."""
    message = codec.decode(Reply(make_chunk([[0.0] * 7]), 1, {}).to_bytes())
    with pytest.raises(ProtocolError):
        Reply.from_bytes(codec.encode({**message, **changes}))


@given(st.binary(max_size=100))
def test_random_bytes_raise_the_projects_errors_alone(data: bytes) -> None:
    """In either direction, noise ends in one kind of error."""
    for decode in (lambda: Request.from_bytes(data, contract=CONTRACT, received_s=0.0), lambda: Reply.from_bytes(data)):
        with contextlib.suppress(MagmaRosError):
            decode()


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "request_id", "reset", "observation/image", "observation/stamp_s", "observation/x"]),
        st.none()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.integers(0, 9))
        | st.just(np.zeros((2, 2, 3))),
    )
)
def test_random_values_raise_the_projects_errors_alone(message: dict[str, object]) -> None:
    """Whatever stands behind the known keys, there is a request or one kind of error."""
    with contextlib.suppress(MagmaRosError):
        read(message)


def test_refusals_keep_their_class_and_stay_on_one_short_line() -> None:
    """A client raises what a local policy would; a long message is cut and a line break does not break the line."""
    text = error_to_text(ActionDecodeError("first\nsecond" + "x" * 5000), request_id=4)
    error, request_id = error_from_text(text)
    assert "\n" not in text
    assert (ActionDecodeError, 4) == (type(error), request_id)
    assert str(error).startswith("the server refused: first\nsecond")
    assert len(str(error)) < MAX_ERROR_CHARACTERS + 50


def test_refusals_of_unknown_classes_are_refusals_all_the_same() -> None:
    """Neither an error of a later server nor the name of another class becomes anything else."""
    for name in ("ErrorOfTomorrow", "annotations", "__builtins__", ""):
        error, _ = error_from_text(json.dumps({"error": name, "message": "why"}))
        assert RemoteRefusalError is type(error)
        assert "why" in str(error)


@pytest.mark.parametrize("text", ["", "oops", "[1]", "1", "{}", '{"error": 1, "message": ""}', "[" * 10**5])
def test_text_that_is_no_refusal_is_refused(text: str) -> None:
    """Text of another server is not shown as its refusal."""
    with pytest.raises(ProtocolError):
        error_from_text(text)


def test_observations_of_the_examples_are_small_enough_for_their_own_test() -> None:
    """A whole request of a 64 x 96 picture is the picture and less than a kilobyte."""
    request = Request(make_observation(), request_id=1).to_bytes()
    assert len(request) < make_observation().images["image"].nbytes + 1000
