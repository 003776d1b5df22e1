"""From a batch to its answer: the ids of actions by draft and verification, or text, over a static cache.

**Why a draft changes nothing.** Every run over action tokens is the same computation: all ids of the answer but the
last, always in the same slots after the prompt, always the same shapes. What row i computes depends on the ids of rows
0 … i alone, so a token that was guessed rightly gets, to the bit, the scores that it would have got one token at a
time. A wrong guess costs nothing but the rows behind it, and those rows' own choices are the next guess (Jacobi
decoding, Santilli et al. 2023; verification as in Leviathan et al. 2023).

**Slots.** The fixed head of the prompt (everything in front of the first picture) lies in the first slots and is
computed once; then the rest of each prompt, padded on the left; then the answer.

Shape suffixes: B batch, N tokens of the answer, L tokens of the longest prompt, H tokens of the head, S slots, D text
width.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magma_ros.action_tokens import ActionTokenizer
from magma_ros.errors import InvalidInputError, PolicyError
from magma_ros.model.cache import KeyValueCache
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import ModelBatch
from magma_ros.model.recordings import Recordings
from magma_ros.sampling import Sampling
from magma_ros.types import ActionPrediction

NUM_ACTION_TOKENS = 7
"""Action tokens per action: translation, rotation, gripper."""

NUM_ACTION_BINS = 256
"""Tokens at the end of the base vocabulary that stand for bins."""

NextGuess = Callable[[Tensor, Tensor], Tensor]
"""(the pass's own choices (B, N), the draft (B, N)) → what to verify next, (B, N); never changes a result."""


def guess_from_pass(choices: Tensor, _draft: Tensor) -> Tensor:
    """Verify what the last pass chose itself; needs the fewest passes of the guesses that were measured."""
    return choices


class Decoder:
    """Answers with one network; holds its cache, so one thread at a time may use it."""

    def __init__(self, network: MagmaNetwork, *, compile_passes: bool = False) -> None:
        """Decode with `network`, which may still be trained in between.

        Args:
            network: In evaluation mode while it decodes.
            compile_passes: Compile the runs over action tokens; the first takes a minute.
        """
        self.network = network
        vocabulary = ActionTokenizer(network.config.base_vocab_size, NUM_ACTION_BINS)
        self._first_id = vocabulary.first_id
        self._centres = vocabulary.centres()
        self._cache: KeyValueCache | None = None
        self._encoded: tuple[object, ...] | None = None
        self._num_prompts = 0
        # Not bound to this object, which would then hold itself: a network that nobody uses any more has to go at once.
        self._answer_scores = Decoder._eager_answer_scores
        if compile_passes:
            self._answer_scores = torch.compile(self._answer_scores, dynamic=False)
        self._recordings = Recordings()
        self._places: tuple[int, ...] = ()

    @torch.inference_mode()
    def actions(
        self,
        batch: ModelBatch,
        *,
        action_horizon: int = 1,
        draft: NDArray[np.int64] | None = None,
        sampling: Sampling | None = None,
        next_guess: NextGuess = guess_from_pass,
    ) -> ActionPrediction:
        """The actions for each row of `batch`: each token is the best action id after those before it.

        Args:
            batch: Prompts that end where the answer begins.
            action_horizon: Actions for each row.
            draft: What the tokens may be, such as those of the previous answer, shape (B * action_horizon, 7); saves
                passes when it is right.
            sampling: Draw instead of choosing the best.
            next_guess: How a wrong draft goes on.

        Raises:
            InvalidInputError: the draft is not made of action ids, or prompt and answer exceed the model's context.
            PolicyError: the network's scores are not finite.
        """
        size, device = len(batch.ids), batch.ids.device
        num_tokens = NUM_ACTION_TOKENS * action_horizon
        drafted = self._draft_tokens(draft, size, num_tokens).to(device)
        noise = 0.0 if sampling is None else sampling.noise((size, num_tokens, NUM_ACTION_BINS))
        noise_BNA = torch.as_tensor(noise, dtype=torch.float32, device=device)  # noqa: N806 - shape suffixes
        rows, hidden = self._prefill(batch, drafted[:, :-1])
        scores = prompt_scores = self._action_scores(hidden[:, -num_tokens:])
        guess = self._choose(scores + noise_BNA)
        num_passes, num_known = 1, 1
        first_choice, guess = guess[:, :1], torch.cat([guess[:, :1], next_guess(guess, drafted)[:, 1:]], dim=1)
        while num_known < num_tokens:
            if num_passes == num_tokens:
                raise PolicyError("the network answered one question in two ways: its runs are not deterministic")
            later = self._scores_of_answer(rows, guess[:, :-1])
            scores = torch.cat([prompt_scores[:, :1], later], dim=1)
            choices = torch.cat([first_choice, self._choose(scores + noise_BNA)[:, 1:]], dim=1)
            agrees = (choices[:, :-1] == guess[:, :-1]).int().cumprod(dim=1)
            num_passes, num_known = num_passes + 1, 1 + int(agrees.sum(dim=1).min())
            known = torch.cat([torch.ones_like(agrees[:, :1]), agrees], dim=1).bool()
            guess = torch.where(known, choices, next_guess(choices, drafted))
        return self._prediction(guess, scores, num_passes)

    @torch.inference_mode()
    def action_scores(self, batch: ModelBatch) -> NDArray[np.float32]:
        """Scores of every action id as the first token of the answer, lowest id first, shape (B, 256)."""
        drafted = self._draft_tokens(None, len(batch.ids), NUM_ACTION_TOKENS).to(batch.ids.device)
        _, hidden = self._prefill(batch, drafted[:, :-1])
        return np.asarray(self._action_scores(hidden)[:, -NUM_ACTION_TOKENS].cpu().numpy(), dtype=np.float32)

    @torch.inference_mode()
    def text(
        self, batch: ModelBatch, *, max_new_tokens: int, end_id: int, sampling: Sampling | None = None
    ) -> Iterator[int]:
        """Token ids of a spoken answer to a batch of one, as they are found, without the one that ends it.

        Raises:
            InvalidInputError: more than one row, or prompt and answer exceed the model's context.
            PolicyError: scores that are not finite, the model wants to act instead of talking, or it was asked
                something else before this answer was complete.
        """
        if len(batch.ids) != 1:
            raise InvalidInputError(f"text: expected one prompt at a time, got {len(batch.ids)}")
        self._reserve(batch, batch.ids.shape[1] + max_new_tokens)
        rows, hidden = self._prefill(batch, batch.ids[:, :0])
        own_prompt = self._num_prompts
        for index in range(max_new_tokens):
            scores = self.network.language_model.lm_head(hidden[:, -1]).float()[0]
            token = self._choose_text(scores, sampling)
            if token == end_id:
                return
            yield token
            if own_prompt != self._num_prompts:
                raise PolicyError("the model was asked something else before this answer was complete")
            ids = torch.tensor([[token]], device=batch.ids.device)
            hidden = self._run(rows, self.network.embed(ids, None), rows.num_slots + index)

    def _choose_text(self, scores: Tensor, sampling: Sampling | None) -> int:
        _require_finite(scores)
        actions = slice(self._first_id, self._first_id + NUM_ACTION_BINS)
        best = int(scores.argmax())
        if actions.start <= best < actions.stop:
            raise PolicyError("the model wants to act, not to talk: this prompt belongs to generate_actions")
        if sampling is None:
            return best
        noisy = scores + torch.as_tensor(sampling.noise(tuple(scores.shape)), dtype=torch.float32).to(scores.device)
        noisy[actions] = -torch.inf
        return int(noisy.argmax())

    def _draft_tokens(self, draft: NDArray[np.int64] | None, size: int, num_tokens: int) -> Tensor:
        """The draft, or the bin of zero for want of one, (B, N)."""
        if draft is None:
            return torch.full((size, num_tokens), self._first_id + NUM_ACTION_BINS // 2)
        tokens, shape = np.asarray(draft), (size * num_tokens // NUM_ACTION_TOKENS, NUM_ACTION_TOKENS)
        if tokens.shape != shape or tokens.dtype.kind not in "iu":
            raise InvalidInputError(f"draft: expected integers of shape {shape}, got {tokens.dtype} {tokens.shape}")
        if tokens.min() < self._first_id or tokens.max() >= self._first_id + NUM_ACTION_BINS:
            raise InvalidInputError(f"draft: expected action ids from {self._first_id}, got {tokens.tolist()}")
        return torch.from_numpy(tokens.astype(np.int64)).reshape(size, num_tokens)

    def _choose(self, scores: Tensor) -> Tensor:
        return self._first_id + scores.argmax(dim=-1)

    def _prediction(self, tokens: Tensor, scores: Tensor, num_passes: int) -> ActionPrediction:
        _require_finite(scores)
        log_p = torch.log_softmax(scores.double(), dim=-1).cpu().numpy()
        p = np.exp(log_p)
        entropy = -(p * np.where(p > 0, log_p, 0.0)).sum(axis=-1)
        rows = (-1, NUM_ACTION_TOKENS)
        expected = p @ self._centres
        return ActionPrediction(
            tokens.cpu().numpy().reshape(rows), expected.reshape(rows), entropy.reshape(rows), num_passes
        )

    # Runs of the network

    def _prefill(self, batch: ModelBatch, answer: Tensor) -> tuple[_Rows, Tensor]:
        """Hidden states of the prompts behind their head, and of an `answer` (B, n) behind them."""
        self._num_prompts += 1
        self._reserve(batch, batch.ids.shape[1] + answer.shape[1])
        self._notice_moves()
        self._encode_head(batch)
        features = self._image_features(batch) if len(batch.pixels) else None
        ids = torch.cat([batch.ids[:, len(batch.head) :], answer], dim=1)
        rows = _Rows(len(batch.head), (batch.attention_mask == 0).sum(dim=1, keepdim=True), batch.ids.shape[1])
        return rows, self._run(rows, self.network.embed(ids, features), len(batch.head))

    def _reserve(self, batch: ModelBatch, num_slots: int) -> None:
        longest = self.network.config.text.max_position_embeddings
        if num_slots > longest:
            raise InvalidInputError(f"prompt and answer: expected at most {longest} tokens, got {num_slots}")
        size, like = len(batch.ids), self.network.embeddings
        if self._cache is None or not self._cache.fits(batch_size=size, num_slots=num_slots, like=like):
            self._cache = KeyValueCache(self.network.config.text, batch_size=size, num_slots=num_slots, like=like)
            self._encoded = None

    def _encode_head(self, batch: ModelBatch) -> None:
        """Fill the first slots, unless they hold the very head, made with the very weights."""
        weights = tuple((id(p), p._version) for p in self.network.language_model.parameters())  # noqa: SLF001
        if batch.head and self._encoded != (batch.head, weights):
            ids = torch.tensor([batch.head] * len(batch.ids), device=batch.ids.device)
            unpadded = _Rows(0, torch.zeros_like(ids[:, :1]), len(batch.head))
            self._run(unpadded, self.network.embed(ids, None), 0)
        self._encoded = (batch.head, weights)

    def _notice_moves(self) -> None:
        """Recordings read weights and cache where these were."""
        assert self._cache is not None
        network = self.network
        tensors = itertools.chain(network.parameters(), network.buffers(), self._cache.keys)
        places = (network.training, *(tensor.data_ptr() for tensor in tensors))
        if places != self._places:
            self._recordings.forget()
            self._places = places

    def _image_features(self, batch: ModelBatch) -> Tensor:
        crops = self._recordings.run("tower", self.network.crop_features, batch.pixels)
        return self.network.arrange_features(crops, batch.image_sizes)

    def _run(self, rows: _Rows, embedded_BnD: Tensor, start: int) -> Tensor:  # noqa: N803 - shape suffixes
        """Hidden states of vectors that are written from slot `start` on."""
        slots = torch.arange(start, start + embedded_BnD.shape[1], device=embedded_BnD.device)
        return self._recordings.run("text", self._text_pass, embedded_BnD, slots, *self._seats(rows, slots))

    def _scores_of_answer(self, rows: _Rows, ids: Tensor) -> Tensor:
        """Scores of tokens 1 … N - 1 given the ids before them, (B, N - 1, 256)."""
        slots = torch.arange(rows.num_slots, rows.num_slots + ids.shape[1], device=ids.device)
        scores = partial(self._answer_scores, self)
        return self._recordings.run("answer", scores, ids, slots, *self._seats(rows, slots))

    def _eager_answer_scores(self, ids: Tensor, slots: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        embedded = self.network.language_model.model.embed_tokens(ids)
        return self._action_scores(self._text_pass(embedded, slots, positions, mask))

    def _text_pass(self, embedded: Tensor, slots: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        assert self._cache is not None
        return self.network.text_states(embedded, positions=positions, mask=mask, cache=self._cache.at(slots))

    def _action_scores(self, hidden: Tensor) -> Tensor:
        head = self.network.language_model.lm_head.weight[self._first_id : self._first_id + NUM_ACTION_BINS]
        scores: Tensor = (hidden @ head.T).float()
        return scores

    def _seats(self, rows: _Rows, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Position of each slot's token in its row, (B, n), and what is added to its attention, (B, 1, n, S)."""
        assert self._cache is not None
        all_slots = torch.arange(self._cache.num_slots, device=slots.device)
        filled_BS = (all_slots < rows.num_head) | (all_slots >= rows.num_padding_B1 + rows.num_head)  # noqa: N806
        own = all_slots == slots[:, None]  # padding sees itself: a softmax over nothing is not a number
        seen = ((all_slots <= slots[:, None]) & filled_BS[:, None]) | own
        mask = torch.zeros_like(seen, dtype=self.network.embeddings.dtype).masked_fill(~seen, -torch.inf)
        return (slots - rows.num_padding_B1).clamp(min=0), mask[:, None]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where the prompts of a batch lie: head, padding, the rest, up to `num_slots`."""

    num_head: int
    num_padding_B1: Tensor  # noqa: N815 - shape suffixes
    num_slots: int


def _require_finite(scores: Tensor) -> None:
    if not bool(torch.isfinite(scores).all()):
        raise PolicyError("the network's scores for the next token are not finite")
