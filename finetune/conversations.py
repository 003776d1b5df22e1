"""Conversations, about pictures or without any, as a source of training samples beside actions.

Every answer and its `<|eot_id|>` is trained, nothing else. A record is one sample as long as no later turn brings
pictures; at each turn that does, a further sample begins, whose prompt holds all that went before, so that the network
never reads a picture among the ids of an answer. Prompts are tokenised as they are when the model is asked: up to the
assistant's header, without what follows.

Pictures are not varied: answers speak of places, counts and colours in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magma_ros import images, prompts
from magma_ros.errors import ConversationError, InvalidInputError
from magma_ros.finetune.conversation_files import Record, Turn, read_documents, record_of
from magma_ros.finetune.mixture import Sample
from magma_ros.model.decoding import NUM_ACTION_BINS
from magma_ros.model.processing import MagmaProcessor, choose_grid
from magma_ros.prompts import Message
from magma_ros.types import ImageArray, ModelInput
from magma_ros.wording import counted

_MOST_FAULTS_SHOWN = 20
_ALLOWED_MARKS = ("<trace_start>", "<trace_end>")
"""Special tokens that an answer may hold: they wrap traces in data for some of Magma's tokenizers."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sample without its pixels."""

    line: int
    images: tuple[str, ...]
    prompt: str
    answer: NDArray[np.int64]
    trained: NDArray[np.bool_]


class ConversationSource:
    """The answers of one file of LLaVA records.

    Attributes:
        name: Of the source.
        weight: See `mixture.Source`.
        num_records: Records that were read.
    """

    def __init__(
        self,
        path: Path,
        *,
        processor: MagmaProcessor,
        use_image_start_end: bool,
        image_folder: Path | None = None,
        weight: float | None = None,
        limit: int | None = None,
        max_tokens: int = 4096,
    ) -> None:
        """Read, check and tokenise every record.

        Args:
            path: A `.jsonl` or `.json` file.
            processor: Of the checkpoint that is trained.
            use_image_start_end: Of its pipeline, see `prompts.picture_lines`.
            image_folder: What the records' picture names are relative to; by default the file's own folder.
            weight: See `mixture.Source`; None stands for the number of samples.
            limit: Use the first so many records only.
            max_tokens: Longest sample, pictures included; upstream trained on 4096.

        Raises:
            ConversationError: records that are malformed or too long, or whose pictures are missing: names the line
                and fault of each of the first twenty. None is left out in silence.
        """
        self.name = str(path)
        self._folder, self._processor, self._max_tokens = image_folder or path.parent, processor, max_tokens
        self._use_image_start_end = use_image_start_end
        added = processor.tokenizer.get_added_tokens_decoder().values()
        self._marks = [token.content for token in added if token.content not in _ALLOWED_MARKS]
        self._pieces: list[_Piece] = []
        self.num_records = 0
        faults = []
        for line, document in read_documents(path):
            if self.num_records == limit:
                break
            self.num_records += 1
            try:
                self._pieces += self._checked(record_of(document, line=line))
            except (ConversationError, InvalidInputError) as error:
                faults.append(f"line {line}: {error}")
        if faults:
            shown = "\n  ".join(faults[:_MOST_FAULTS_SHOWN])
            raise ConversationError(
                f"{path}: {len(faults)} of {counted(self.num_records, 'record')} cannot be used:\n  {shown}"
            )
        if not self._pieces:
            raise ConversationError(f"{path}: expected at least one record, got none")
        self.weight = float(len(self._pieces)) if weight is None else weight

    def __len__(self) -> int:
        return len(self._pieces)

    def order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Every sample once."""
        return generator.permutation(len(self))

    def sample(self, index: int, generator: np.random.Generator) -> Sample:  # noqa: ARG002 - nothing is varied
        """Sample `index`, its pictures read.

        Raises:
            ConversationError: a picture is not a JPEG or PNG that can be decoded; names file and line.
        """
        piece = self._pieces[index]
        try:
            pictures = tuple(self._picture(name) for name in piece.images)
        except (InvalidInputError, OSError) as error:
            raise ConversationError(f"{self.name}, line {piece.line}: {piece.images}: {error}") from error
        return Sample(ModelInput(pictures, piece.prompt), piece.answer, is_action=False, trained=piece.trained)

    def _picture(self, name: str) -> ImageArray:
        return images.to_rgb(images.decode((self._folder / name).read_bytes()), order="rgb")

    def _checked(self, record: Record) -> Iterator[_Piece]:
        for name in record.images:
            if not (self._folder / name).is_file():
                raise ConversationError(f"picture {name!r} is not in {self._folder}")
        for turn in record.turns:
            if marks := [mark for mark in self._marks if mark in turn.text]:
                raise ConversationError(f"the texts {marks} are reserved for special tokens")
        starts = [i for i, turn in enumerate(record.turns) if i == 0 or turn.num_images]
        for start, end in zip(starts, [*starts[1:], len(record.turns)], strict=True):
            piece = self._piece(record, start, end)
            self._require_short(piece)
            yield piece

    def _piece(self, record: Record, start: int, end: int) -> _Piece:
        """The sample that trains the answers among turns `start` (a user's) to `end`."""
        messages = [Message(turn.role, self._content(turn)) for turn in record.turns[:end]]
        opening = [Message("system", prompts.SYSTEM_TEXT), *messages[: start + 1]]
        prompt = prompts.render_chat(opening, add_generation_prompt=True)
        if prompts.asks_for_action(prompt):
            raise ConversationError("asks for a robot action, which is trained from episodes")
        answer: list[int] = []
        trained: list[bool] = []
        for message in messages[start + 1 :]:
            said = self._said(message)
            answer += said
            trained += [message.role == "assistant"] * len(said)
        num_images = sum(turn.num_images for turn in record.turns[: start + 1])
        return _Piece(record.line, record.images[:num_images], prompt, np.array(answer), np.array(trained))

    def _content(self, turn: Turn) -> str:
        return prompts.picture_lines(turn.num_images, use_image_start_end=self._use_image_start_end) + turn.text

    def _said(self, message: Message) -> list[int]:
        """Ids of an answer and its end, or of a user's turn up to where the next answer begins."""
        encode = self._processor.tokenizer.encode
        if message.role == "user":
            text = prompts.render_turns([message], add_generation_prompt=True)
            return list(encode(text, add_special_tokens=False).ids)
        ids = encode(message.content, add_special_tokens=False).ids
        top = self._processor.tokenizer.get_vocab_size(with_added_tokens=False)
        if any(top - NUM_ACTION_BINS <= token < top for token in ids):
            raise ConversationError(f"the answer {message.content[:60]!r} … is written with ids that stand for actions")
        return [*ids, self._processor.end_of_turn_id]

    def _require_short(self, piece: _Piece) -> None:
        pictures = len(piece.images)
        text = len(self._processor.tokenizer.encode(piece.prompt).ids) - pictures + len(piece.answer)
        if text + pictures * self._largest_picture() <= self._max_tokens:
            return
        config = self._processor.image_config
        for name in piece.images:
            height_px, width_px = self._picture(name).shape[:2]
            grid = choose_grid(width_px, height_px, num_crops=config.num_crops, base_img_size=config.base_img_size)
            text += self._processor.num_image_tokens(*grid)
        if text > self._max_tokens:
            raise ConversationError(f"expected at most {self._max_tokens} tokens, got {text}")

    def _largest_picture(self) -> int:
        """Tokens of the largest picture; those of a record that fits even then need not be opened to know that."""
        most = self._processor.image_config.num_crops
        return max(self._processor.num_image_tokens(rows, most // rows) for rows in range(1, most + 1))
