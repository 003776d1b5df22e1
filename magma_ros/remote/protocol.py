"""The messages of a policy's WebSocket: what `openpi-client` sends and expects, and what `RemotePolicy` adds to it.

After the opening handshake the server sends one `Handshake`. Then each binary message is a `Request`, answered by one
binary `Reply`, or by one text message that holds a refusal as a line of JSON. docs/serving.md lists every key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from magma_ros import errors
from magma_ros.contract import ActionContract
from magma_ros.distant_talk import Asked, Piece
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import InvalidInputError, MagmaRosError, ProtocolError, RemoteRefusalError
from magma_ros.remote import codec, words
from magma_ros.types import ACTION_DIM, ActionChunk, ImageArray, Observation, Proprio

PROTOCOL = "magma_ros"
PROTOCOL_VERSION = 1

MAX_HANDSHAKE_AND_REPLY_BYTES = 2**20
"""Longest message that a client accepts."""

MAX_ERROR_CHARACTERS = 500

ACTION_COLUMNS = ("dx_m", "dy_m", "dz_m", "rx_rad", "ry_rad", "rz_rad", "gripper_opening")
"""For people, in the handshake: translation and rotation vector along the contract's frame; 0 closed … 1 open."""

_PREFIX = "observation/"
_ONLY_IMAGE = _PREFIX + "image"
_PROPRIO = ("ee_position_m", "ee_quat_xyzw", "gripper_opening", "joint_positions_rad")
_PLAIN_KEYS = ("prompt", "request_id", "reset")
_NO_TOKENS = np.empty((0, ACTION_DIM), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a server says about itself before anything is asked.

    Attributes:
        policy: Name of the checkpoint.
        fingerprint: Of its pipeline; empty when the policy has none.
        contract: What its actions mean.
        action_horizon: Actions in every reply.
        max_message_bytes: Longest request.
        deadline_s: Longest that a request may take, waiting included [s].
        idle_timeout_s: How long a connection may be silent [s].
        talks, predicts_traces: As `talking.Talker`; a server of before says neither, and does neither.
        entropy_bounds: The policy's own; None when it has none, or the server does not say.
    """

    policy: str
    fingerprint: str
    contract: ActionContract
    action_horizon: int
    max_message_bytes: int
    deadline_s: float
    idle_timeout_s: float
    talks: bool = False
    predicts_traces: bool = False
    entropy_bounds: EntropyBounds | None = None

    def to_bytes(self) -> bytes:
        """The server's first message."""
        described = {field.name: getattr(self, field.name) for field in fields(self)}
        return codec.encode(
            {
                "protocol": PROTOCOL,
                "protocol_version": PROTOCOL_VERSION,
                **described,
                "contract": self.contract.to_dict(),
                "entropy_bounds": None if self.entropy_bounds is None else self.entropy_bounds.to_dict(),
                "action_columns": list(ACTION_COLUMNS),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Handshake:
        """The handshake in a server's first message; keys that this version does not know are left alone.

        Raises:
            ProtocolError: another protocol or version, or a key is missing or of another type.
            ContractError: the contract or the bounds cannot be used.
        """
        message = codec.decode(data)
        bounds = message.get("entropy_bounds")
        spoken = (message.get("protocol"), message.get("protocol_version"))
        if spoken != (PROTOCOL, PROTOCOL_VERSION):
            raise ProtocolError(f"handshake: expected {PROTOCOL} version {PROTOCOL_VERSION}, got {spoken}")
        return cls(
            policy=_typed(message, "policy", str),
            fingerprint=_typed(message, "fingerprint", str),
            contract=ActionContract.from_dict(_typed(message, "contract", dict)),
            action_horizon=_typed(message, "action_horizon", int),
            max_message_bytes=_typed(message, "max_message_bytes", int),
            deadline_s=float(_typed(message, "deadline_s", int, float)),
            idle_timeout_s=float(_typed(message, "idle_timeout_s", int, float)),
            talks=_typed(message, "talks", bool, default=False),
            predicts_traces=_typed(message, "predicts_traces", bool, default=False),
            entropy_bounds=None if bounds is None else EntropyBounds.from_dict(_typed(message, "entropy_bounds", dict)),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks.

    Attributes:
        observation: What to act on; None in a message that only resets, and in one that asks for words.
        reset: An episode begins: the policy forgets the one before, then looks at `observation`.
        request_id: Comes back with the answer; None from clients that do not count.
        asked: A question to answer in words, or the next piece of the answer; None in a message about acting.
    """

    observation: Observation | None
    reset: bool = False
    request_id: int | None = None
    asked: Asked | None = None

    def to_bytes(self) -> bytes:
        """The client's message."""
        message: dict[str, Any] = {"reset": True} if self.reset else {}
        if self.request_id is not None:
            message["request_id"] = self.request_id
        if self.observation is not None:
            message |= _observation_to_message(self.observation)
        if self.asked is not None:
            message |= words.to_message(self.asked)
        return codec.encode(message)

    @classmethod
    def from_bytes(cls, data: bytes, *, contract: ActionContract, received_s: float) -> Request:
        """The request in a client's message.

        Args:
            data: The message.
            contract: Names the cameras; any other key that begins with `observation/` is ignored.
            received_s: The observation's stamp when the client gives none [s].

        Raises:
            ProtocolError: not a message of this protocol; no answer can be addressed.
            InvalidInputError: an observation that cannot be used.
        """
        message = codec.decode(data)
        request_id = _typed(message, "request_id", int, type(None), default=None)
        if words.KEY in message:
            return cls(None, request_id=request_id, asked=words.from_message(message))
        unknown = [key for key in message if key not in _PLAIN_KEYS and not key.startswith(_PREFIX)]
        if unknown:
            raise ProtocolError(
                f"request: expected {_PLAIN_KEYS} and keys with {_PREFIX!r} in front, got {unknown[:5]}"
            )
        reset = _typed(message, "reset", bool, default=False)
        is_asking = "prompt" in message or any(key.startswith(_PREFIX) for key in message)
        if not is_asking and not reset:
            raise ProtocolError("request: expected an observation, or reset: true, got neither")
        observation = _observation(message, contract, received_s) if is_asking else None
        return cls(observation, reset, request_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answers.

    Attributes:
        chunk: The actions; None after a message that only reset, or asked for words.
        request_id: Of the request.
        timing_ms: Milliseconds by stage, for people.
        piece: Of an answer in words; None after a message about acting.
    """

    chunk: ActionChunk | None
    request_id: int | None
    timing_ms: Mapping[str, float]
    piece: Piece | None = None

    def to_bytes(self) -> bytes:
        """The server's message; arrays have the action horizon as their first axis, as `ActionChunkBroker` wants."""
        message: dict[str, Any] = {"server_timing": dict(self.timing_ms)}
        if self.request_id is not None:
            message["request_id"] = self.request_id
        if self.piece is not None:
            message |= {words.PIECE: self.piece.text}
        if self.chunk is not None:
            named = {field.name: getattr(self.chunk, field.name) for field in fields(self.chunk)}
            message |= {name: value for name, value in named.items() if np.size(value)}
        return codec.encode(message)

    @classmethod
    def from_bytes(cls, data: bytes) -> Reply:
        """The reply in a server's message.

        Raises:
            ProtocolError: not a message of this protocol.
        """
        message = codec.decode(data)
        chunk = _chunk(message) if "actions" in message else None
        timing = _typed(message, "server_timing", dict, default={})
        piece = Piece(_typed(message, words.PIECE, str, type(None))) if words.PIECE in message else None
        return cls(chunk, _typed(message, "request_id", int, type(None), default=None), timing, piece)


def error_to_text(error: MagmaRosError, *, request_id: int | None) -> str:
    """A refusal as one line of JSON: the error's class, its message cut to a bounded length, and the request's id.

    It is text because a client of openpi takes every text message for an error and shows it.
    """
    described = {"error": type(error).__name__, "message": str(error)[:MAX_ERROR_CHARACTERS], "request_id": request_id}
    return json.dumps(described)


def error_from_text(text: str) -> tuple[MagmaRosError, int | None]:
    """The refusal in a server's text message, as the error that a local policy would raise, and the request's id.

    Raises:
        ProtocolError: the text is not a refusal.
    """
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"refusal: expected a line of JSON, got {text[:80]!r}") from error
    if not isinstance(described, dict):
        raise ProtocolError(f"refusal: expected a JSON object, got {text[:80]!r}")
    name, message = _typed(described, "error", str), _typed(described, "message", str)
    request_id = _typed(described, "request_id", int, type(None), default=None)
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, MagmaRosError):
        return kind(f"the server refused: {message}"), request_id
    return RemoteRefusalError(f"the server refused with {name}: {message}"), request_id


def _observation_to_message(observation: Observation) -> dict[str, Any]:
    message: dict[str, Any] = {_PREFIX + name: image for name, image in observation.images.items()}
    message |= {"prompt": observation.instruction, _PREFIX + "stamp_s": observation.stamp_s}
    if observation.proprio is not None:
        message |= {_PREFIX + name: getattr(observation.proprio, name) for name in _PROPRIO}
    return message


def _observation(message: Mapping[str, Any], contract: ActionContract, received_s: float) -> Observation:
    prompt, stamp_s = message.get("prompt"), message.get(_PREFIX + "stamp_s", received_s)
    if not isinstance(prompt, str):
        raise InvalidInputError(f"prompt: expected the instruction as text, got {type(prompt).__name__}")
    is_number = isinstance(stamp_s, int | float | np.number) and not isinstance(stamp_s, bool)
    if not is_number or not math.isfinite(stamp_s):
        raise InvalidInputError(f"{_PREFIX}stamp_s: expected a finite number of seconds, got {stamp_s!r}")
    images = {camera.name: _image(message, camera.name, contract) for camera in contract.cameras}
    return Observation(images, prompt, float(stamp_s), _proprio(message))


def _image(message: Mapping[str, Any], camera: str, contract: ActionContract) -> ImageArray:
    accepted = [_PREFIX + camera] + ([_ONLY_IMAGE] if len(contract.cameras) == 1 else [])
    key = next((key for key in accepted if key in message), None)
    if key is None:
        present = sorted(key for key in message if key.startswith(_PREFIX))
        raise InvalidInputError(f"camera {camera!r}: expected a picture as {' or '.join(accepted)}, got {present[:8]}")
    image = message[key]
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InvalidInputError(f"{key}: expected a uint8 array (height, width, 3), RGB, got {got}")
    return image


def _proprio(message: Mapping[str, Any]) -> Proprio | None:
    present = {name: message[_PREFIX + name] for name in _PROPRIO if _PREFIX + name in message}
    if not present:
        return None
    try:
        return Proprio(**present)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"proprio: expected all of {_PROPRIO} as numbers, got {sorted(present)}") from error


def _chunk(message: Mapping[str, Any]) -> ActionChunk:
    optional = {field.name: message[field.name] for field in fields(ActionChunk) if field.name in message}
    required = {"frame": _typed(message, "frame", str), "stamp_s": _typed(message, "stamp_s", float)}
    try:
        return ActionChunk(**{"tokens": _NO_TOKENS, **optional, **required})
    except InvalidInputError as error:
        raise ProtocolError(f"reply: expected an action chunk: {error}") from error


def _typed(message: Mapping[str, Any], key: str, *kinds: type, default: Any = ...) -> Any:
    value = message.get(key, default)
    if value is ... or type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        got = "nothing" if value is ... else type(value).__name__
        raise ProtocolError(f"{key}: expected {wanted}, got {got}")
    return value
