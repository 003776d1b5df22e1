"""The one path from an observation to the model's input, and from its tokens to an action, in training and serving."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from magma_ros import geometry, images, normalization, prompts
from magma_ros.action_tokens import ActionTokenizer
from magma_ros.contract import ActionContract
from magma_ros.errors import CheckpointError, ContractError, InvalidInputError
from magma_ros.json_files import read_object
from magma_ros.normalization import NormStats
from magma_ros.types import Action, ActionChunk, FloatArray, ImageArray, ModelInput, Observation

MANIFEST_NAME = "magma_ros.json"
STATISTICS_NAME = "dataset_statistics.json"
FORMAT = 1
"""Version of the manifest; a reader refuses any other."""
MAX_ACTION_HORIZON = 64
"""Actions of an answer, at most; as many as the policy node executes of one."""

_CONTRACT_SLACK = 1e-6
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Everything that the path depends on; each field is in the fingerprint.

    Attributes:
        contract: What the model's seven numbers mean.
        norm_stats: Their statistics, in the model's numbers.
        base_vocab_size: Text vocabulary without added tokens; the last 256 ids are the action bins.
        use_image_start_end: Wrap each image placeholder in start and end tokens.
        lowercase_instruction: Write the instruction in lower case.
        action_horizon: Actions of an answer, one control period apart; Magma's is 1.
    """

    contract: ActionContract
    norm_stats: NormStats
    base_vocab_size: int
    use_image_start_end: bool
    lowercase_instruction: bool = False
    action_horizon: int = 1

    def __post_init__(self) -> None:
        if not (type(self.action_horizon) is int and 1 <= self.action_horizon <= MAX_ACTION_HORIZON):
            raise ContractError(f"action_horizon: expected 1 to {MAX_ACTION_HORIZON}, got {self.action_horizon!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back to the bit."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**plain, "contract": self.contract.to_dict(), "norm_stats": self.norm_stats.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PipelineConfig:
        """The configuration in `data`.

        Raises:
            ContractError: a field is missing, unknown or out of its range, or the contract cannot be used.
            NormalizationError: the statistics cannot be used.
        """
        known = {field.name for field in fields(cls)}
        if set(data) != known:
            raise ContractError(f"pipeline: expected the fields {sorted(known)}, got {sorted(data)}")
        contract, stats = ActionContract.from_dict(data["contract"]), NormStats.from_dict(data["norm_stats"])
        return cls(**{**data, "contract": contract, "norm_stats": stats})


class Pipeline:
    """Observation → `ModelInput`, `Action` → target tokens, tokens → `ActionChunk`; holds no state between calls."""

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.tokenizer = ActionTokenizer(config.base_vocab_size)
        self._prompt = lru_cache(maxsize=64)(self._render)  # an instruction is asked about many pictures

    @property
    def contract(self) -> ActionContract:
        """What the decoded actions mean."""
        return self.config.contract

    def encode(self, observation: Observation) -> ModelInput:
        """What the model is shown for `observation`: its cameras in the contract's order, and the rendered prompt.

        Raises:
            InvalidInputError: a camera of the contract is missing, or a picture or the instruction cannot be used.
        """
        pictures = tuple(self._pictures(observation).values())
        return ModelInput(images=pictures, prompt=self._prompt(observation.instruction))

    @property
    def action_horizon(self) -> int:
        """Actions of an answer."""
        return self.config.action_horizon

    def encode_target(self, action: Action) -> NDArray[np.int64]:
        """Token ids of `action`, shape (7,); beyond the statistics' quantiles they saturate.

        The ids of an answer are those of its `action_horizon` actions, one after the other.

        Raises:
            ContractError: another frame, or longer than the contract's bounds.
            InvalidInputError: a value is not finite or the gripper is outside 0 … 1.
        """
        return self.tokenizer.encode(self.config.norm_stats.normalize(to_model_numbers(action, self.contract)))

    def decode(self, tokens: ArrayLike, *, stamp_s: float, entropy_nats: ArrayLike | None = None) -> ActionChunk:
        """The actions that `tokens`, shape (action_horizon, 7), name; `stamp_s` is the observation's.

        `entropy_nats`, of the same shape, goes along.

        Raises:
            ActionDecodeError: anything but whole actions made of action tokens.
        """
        ids = np.atleast_2d(np.asarray(tokens))
        numbers = self.config.norm_stats.unnormalize(self.tokenizer.decode(ids))
        rows = from_model_numbers(numbers, self.contract)
        entropy = np.empty((0, ids.shape[1])) if entropy_nats is None else np.atleast_2d(np.asarray(entropy_nats))
        return ActionChunk(rows, self.contract.frame, stamp_s, tokens=ids, entropy_nats=entropy)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over everything that changes the model's input or the decoded action."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        config = self.config.to_dict()
        if self.action_horizon == 1:
            del config["action_horizon"]  # fingerprints from before there was a choice
        described = {
            "format": FORMAT,
            "config": config,
            "prompt": self._prompt("Move"),
            "num_bins": self.tokenizer.num_bins,
        }
        canonical = json.dumps(described, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def explain(self, observation: Observation, tokens: ArrayLike | None = None) -> dict[str, Any]:
        """Every stage's value by name, for a person who debugs; with `tokens`, of the way back too.

        Raises:
            InvalidInputError, ActionDecodeError: as `encode` and `decode`.
        """
        stages: dict[str, Any] = {
            "fingerprint": self.fingerprint(),
            "observed_shapes": {name: image.shape for name, image in observation.images.items()},
            "pictures": self._pictures(observation),
            "instruction": observation.instruction,
            "prompt": self._prompt(observation.instruction),
        }
        if tokens is not None:
            centres = self.tokenizer.decode(np.atleast_2d(np.asarray(tokens)))
            numbers = self.config.norm_stats.unnormalize(centres)
            actions = from_model_numbers(numbers, self.contract)
            stages |= {"normalized": centres, "model_numbers": numbers, "actions": actions}
        return stages

    def save(self, folder: Path) -> None:
        """Write the statistics and our manifest's contract and fingerprint; other keys of the manifest stay."""
        normalization.save(folder / STATISTICS_NAME, {self.contract.embodiment: self.config.norm_stats})
        manifest = folder / MANIFEST_NAME
        document = {
            **(read_object(manifest) if manifest.exists() else {}),
            "format": FORMAT,
            "contract": self.contract.to_dict(),
            "lowercase_instruction": self.config.lowercase_instruction,
            "action_horizon": self.action_horizon,
            "fingerprint": self.fingerprint(),
        }
        manifest.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Pipeline:
        """The pipeline of a checkpoint folder.

        Raises:
            CheckpointError: a file or key is missing, or the fingerprint differs from the stored one.
            ContractError, NormalizationError: the contract or the statistics cannot be used.
        """
        model, manifest = read_object(folder / "config.json"), read_object(folder / MANIFEST_NAME)
        if manifest.get("format") != FORMAT:
            raise CheckpointError(f"{folder / MANIFEST_NAME}: expected format {FORMAT}, got {manifest.get('format')!r}")
        contract = ActionContract.from_dict(_typed(manifest, "contract", dict))
        config = PipelineConfig(
            contract=contract,
            norm_stats=normalization.load(folder / STATISTICS_NAME, embodiment=contract.embodiment),
            base_vocab_size=_typed(model, "tokenizer_vocab_size", int),
            use_image_start_end=_typed(model, "mm_use_image_start_end", bool),
            lowercase_instruction=_typed(manifest, "lowercase_instruction", bool),
            action_horizon=_typed({"action_horizon": 1} | manifest, "action_horizon", int),
        )
        stored = _typed(manifest, "fingerprint", str)
        pipeline = cls(config)
        if pipeline.fingerprint() != stored:
            raise CheckpointError(
                f"{folder}: prompt, images, bins, statistics or contract changed since the checkpoint was made: "
                f"expected fingerprint {stored}, got {pipeline.fingerprint()}"
            )
        return pipeline

    def _pictures(self, observation: Observation) -> dict[str, ImageArray]:
        pictures = {}
        for camera in self.contract.cameras:
            if camera.name not in observation.images:
                raise InvalidInputError(f"camera {camera.name!r}: no picture, available {sorted(observation.images)}")
            pictures[camera.name] = images.as_seen(observation.images[camera.name], camera)
        return pictures

    def _render(self, instruction: str) -> str:
        return prompts.robot_action_prompt(
            prompts.clean_instruction(instruction, lowercase=self.config.lowercase_instruction),
            use_image_start_end=self.config.use_image_start_end,
            num_images=len(self.contract.cameras),
        )


def to_model_numbers(action: Action, contract: ActionContract) -> FloatArray:
    """`action` in `contract`'s rotation form and gripper polarity, not yet normalized, shape (7,).

    The statistics are fitted on these numbers.

    Raises:
        ContractError: another frame, or longer than the contract's bounds.
        InvalidInputError: a value is not finite or the gripper is outside 0 … 1.
    """
    require_honest(action, contract)
    rotation = action.rotation_vector_rad
    if contract.rotation_form == "rpy":
        rotation = geometry.rotation_vector_to_rpy(rotation)
    opening = action.gripper_opening
    gripper = opening if contract.gripper_polarity == "open_is_one" else 1.0 - opening
    return np.concatenate([action.translation_m, rotation, [gripper]])


def from_model_numbers(numbers: FloatArray, contract: ActionContract) -> FloatArray:
    """Action rows, columns as in `Action.to_array`, of model numbers, shape (n, 7); the gripper within 0 … 1."""
    rotation = numbers[:, 3:6]
    if contract.rotation_form == "rpy":
        rotation = geometry.rpy_to_rotation_vector(rotation)
    gripper = np.clip(numbers[:, 6:], 0.0, 1.0)
    opening = gripper if contract.gripper_polarity == "open_is_one" else 1.0 - gripper
    return np.concatenate([numbers[:, :3], rotation, opening], axis=1)


def require_honest(action: Action, contract: ActionContract) -> None:
    """Refuse an action that the contract does not allow.

    Raises:
        ContractError: another frame, or longer than the contract's bounds.
        InvalidInputError: a value is not finite or the gripper is outside 0 … 1.
    """
    if action.frame != contract.frame:
        raise ContractError(f"action: expected frame {contract.frame!r}, got {action.frame!r}")
    if not np.isfinite(action.to_array()).all():
        raise InvalidInputError(f"action: expected finite numbers, got {action.to_array().tolist()}")
    if not 0.0 <= action.gripper_opening <= 1.0:
        raise InvalidInputError(f"gripper_opening: expected 0 to 1, got {action.gripper_opening}")
    for name, vector, longest in (
        ("translation_m", action.translation_m, contract.max_translation_m),
        ("rotation_vector_rad", action.rotation_vector_rad, contract.max_rotation_rad),
    ):
        if np.linalg.norm(vector) > longest * (1.0 + _CONTRACT_SLACK):
            raise ContractError(f"{name}: expected a length of at most {longest}, got {np.linalg.norm(vector):.6g}")


def _typed(document: dict[str, Any], key: str, kind: type[_T]) -> _T:
    value = document.get(key)
    if type(value) is not kind:
        raise CheckpointError(f"{key}: expected {kind.__name__} in config.json or {MANIFEST_NAME}, got {value!r}")
    return value
