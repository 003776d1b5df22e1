"""Episodes as a source of training samples, through the same `Pipeline` that serves.

A recorded picture is varied first and goes through `Pipeline.encode` then, as one from a camera would. Ids of the
recorded actions are worked out once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from mmap import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magma_ros import normalization
from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.finetune.augmentation import Augmentation
from magma_ros.finetune.mixture import Sample
from magma_ros.normalization import NormStats
from magma_ros.pipeline import Pipeline, to_model_numbers
from magma_ros.types import Action, FloatArray, ImageArray, Observation

ACTION_MASK = (True, True, True, True, True, True, False)
"""Numbers that are scaled by the statistics; the gripper passes as 0 … 1 (reference: upstream's Bridge statistics)."""

DEFAULT_MEMORY_BYTES = 4 * 2**30
"""Pictures that a source keeps in memory unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class ChosenEpisodes:
    """Episodes of one folder, by number; None for all of them."""

    folder: Path
    numbers: tuple[int, ...] | None = None

    def open(self) -> tuple[EpisodeDataset, tuple[int, ...]]:
        """The dataset and the numbers of the chosen episodes.

        Raises:
            EpisodeError: it cannot be used, or no episode is left.
        """
        dataset = EpisodeDataset(self.folder)
        numbers = tuple(range(len(dataset))) if self.numbers is None else self.numbers
        if not numbers:
            raise EpisodeError(f"{self.folder}: expected at least one episode, got none")
        return dataset, numbers


class EpisodeSource:
    """Every step of the chosen episodes of one folder as a sample; several threads may ask at once.

    What is learnt at a step is its action and those after it, as many as the pipeline's answers have; behind an
    episode's end the arm rests, the gripper as it was told last.

    Attributes:
        name: Of the source.
        weight: See `mixture.Source`.
        num_episodes: Chosen ones.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        episodes: ChosenEpisodes,
        *,
        end_of_turn_id: int,
        weight: float | None = None,
        augmentation: Augmentation | None = None,
        only_interventions: bool = False,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        """Work out what the episodes' actions are as token ids; pictures are read when their turn comes.

        Args:
            pipeline: Of the checkpoint that is trained.
            episodes: Where they are.
            end_of_turn_id: The tokenizer's `<|eot_id|>`.
            weight: See `mixture.Source`; None stands for the number of samples.
            augmentation: Of the pictures; None leaves them as they were recorded.
            only_interventions: Take the steps from which on somebody acted in the policy's place, up to the end of the
                answer or of the episode (DAgger).
            memory_bytes: Pictures kept in memory; beyond it episodes are read again when their turn comes, and a pass
                shuffles as many episodes at a time as fit.

        Raises:
            EpisodeError: an episode's actions cannot be read, or no step is left.
            ContractError: they were recorded under another contract, or an action is longer than the pipeline allows.
        """
        self.name = str(episodes.folder)
        self._pipeline, self._augmentation = pipeline, augmentation or Augmentation()
        self._cameras = tuple(camera.name for camera in pipeline.contract.cameras)
        self._dataset, numbers = episodes.open()
        pipeline.contract.require_same_motion(self._dataset.contract, who=self.name)
        self.num_episodes = len(numbers)
        self._lock = threading.Lock()  # batches may be made in several threads
        self._held: OrderedDict[int, _Shown] = OrderedDict()
        self._held_bytes, self._memory_bytes = 0, memory_bytes
        answers, places, total_bytes = [], [], 0
        for number in numbers:
            actions, interventions = self._dataset.read_actions(number)
            total_bytes += self._dataset.picture_bytes(number, self._cameras)
            steps = np.arange(len(actions))
            if only_interventions:
                steps = steps[_is_intervened(interventions, pipeline.action_horizon)]
            answers.append(_answers(pipeline, actions, end_of_turn_id)[steps])
            places += [(number, step) for step in steps.tolist()]
        if not places:
            raise EpisodeError(f"{self.name}: expected steps with an intervention, found none")
        self._answers, self._places = np.concatenate(answers), np.array(places)
        self.weight = float(len(places)) if weight is None else weight
        self._episodes_at_once = max(1, int(len(numbers) * min(1.0, memory_bytes / max(1, total_bytes))))

    def __len__(self) -> int:
        return len(self._places)

    def order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Every step once; only steps of as many episodes as memory holds are mixed with each other."""
        shuffled = generator.permutation(np.unique(self._places[:, 0]))
        parts = []
        for start in range(0, len(shuffled), self._episodes_at_once):
            together = shuffled[start : start + self._episodes_at_once]
            parts.append(generator.permutation(np.flatnonzero(np.isin(self._places[:, 0], together))))
        return np.concatenate(parts)

    def sample(self, index: int, generator: np.random.Generator) -> Sample:
        """Step `index` of all steps, its pictures varied.

        Raises:
            EpisodeError: its episode can no longer be read.
            InvalidInputError: the frame does not fit the pipeline.
        """
        number, step = self._places[index].tolist()
        observation = self._shown(number).observation(step)
        if not self._augmentation.changes_nothing:
            varied = self._augmentation.apply(observation.images, generator)
            observation = replace(observation, images=varied)
        return Sample(self._pipeline.encode(observation), self._answers[index], is_action=True)

    def _shown(self, number: int) -> _Shown:
        """What episode `number` shows, read again if it had to make room."""
        with self._lock:
            if number in self._held:
                self._held.move_to_end(number)
                return self._held[number]
        return self._keep(number, self._dataset.read(number, cameras=self._cameras))

    def _keep(self, number: int, episode: Episode) -> _Shown:
        """Keep what `episode` shows; those that were used longest ago make room for it."""
        shown = _Shown(episode)
        with self._lock:
            if number not in self._held:
                self._held[number] = shown
                self._held_bytes += shown.num_bytes
            while self._held_bytes > self._memory_bytes and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                self._held_bytes -= oldest.num_bytes
        return shown


class _Shown:
    """What samples need of an episode.

    Pictures lie in pages of their own, which are the system's again with them. As blocks of the C library, which keeps
    those of this size once they are free, 5 GiB of pictures that came and went took 12 GiB.
    """

    def __init__(self, episode: Episode) -> None:
        self._instruction, self._stamps_s = episode.instruction, episode.stamps_s
        self._images = {name: _in_own_pages(pictures) for name, pictures in episode.images.items()}
        self.num_bytes = sum(pictures.nbytes for pictures in self._images.values())

    def observation(self, step: int) -> Observation:
        """What the policy would have seen at `step`, without the robot's state."""
        pictures = {name: images[step] for name, images in self._images.items()}
        return Observation(pictures, self._instruction, float(self._stamps_s[step]))


def _in_own_pages(pictures: ImageArray) -> ImageArray:
    own = np.frombuffer(mmap(-1, pictures.nbytes), dtype=np.uint8).reshape(pictures.shape)
    own[:] = pictures
    return own


def _is_intervened(interventions: NDArray[np.bool_], horizon: int) -> NDArray[np.bool_]:
    """At which steps (T,) all of the next `horizon` actions that the episode has are interventions."""
    padded = np.concatenate([interventions, np.ones(horizon - 1, np.bool_)])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, horizon).all(axis=1))


def _answers(pipeline: Pipeline, rows: FloatArray, end_of_turn_id: int) -> NDArray[np.int64]:
    """Ids of the answer at each step of an episode whose actions are `rows`, shape (steps, 7 * action_horizon + 1)."""
    frame, horizon = pipeline.contract.frame, pipeline.action_horizon
    actions = [Action.from_array(row, frame=frame) for row in rows]
    rest = Action(np.zeros(3), np.zeros(3), actions[-1].gripper_opening, frame)
    ids = np.stack([pipeline.encode_target(action) for action in (*actions, *[rest] * (horizon - 1))])
    columns = [ids[later : later + len(rows)] for later in range(horizon)]
    return np.hstack([*columns, np.full((len(rows), 1), end_of_turn_id)])


def fit_norm_stats(chosen: Sequence[ChosenEpisodes], contract: ActionContract) -> NormStats:
    """Statistics of the recorded actions of all `chosen` episodes together, in the contract's own numbers.

    Raises:
        EpisodeError: nothing chosen, or an episode cannot be read.
        ContractError: episodes of another motion, or an action longer than the contract allows.
    """
    if not chosen:
        raise EpisodeError("expected folders with at least one episode each, got none")
    rows: list[FloatArray] = []
    for episodes in chosen:
        dataset, numbers = episodes.open()
        contract.require_same_motion(dataset.contract, who=str(dataset.folder))
        for actions, _ in map(dataset.read_actions, numbers):
            rows += [to_model_numbers(Action.from_array(row, frame=contract.frame), contract) for row in actions]
    return normalization.fit(np.stack(rows), mask=ACTION_MASK)
