"""What upstream's robot scripts do for one action, with `transformers.generate` on any of our networks."""

import time
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerFast

from magma_ros.model.adapter import MagmaModel
from magma_ros.model.decoding import NUM_ACTION_BINS, NUM_ACTION_TOKENS
from magma_ros.model.processing import choose_grid
from magma_ros.model.tiny import CHAT_TEMPLATE, tokenizer_files
from magma_ros.prompts import SYSTEM_TEXT


class Reference:
    """Picture and instruction to seven numbers, the way upstream's evaluation does it."""

    def __init__(self, model: MagmaModel, *, q01: NDArray[np.float64], q99: NDArray[np.float64]) -> None:
        """Use the network and tokenizer of `model` and these quantiles, shape (7,), all but the gripper's."""
        self._network, self._processor = model.network, model.processor
        self._llama: Any = model.network.language_model
        self._tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=model.processor.tokenizer,
            **tokenizer_files(model.processor.tokenizer)["special_tokens_map.json"],
            chat_template=CHAT_TEMPLATE,
        )
        self._q01, self._q99 = q01, q99
        self._base = model.network.config.base_vocab_size
        self.marks_s: list[float] = []
        """When each stage of the last action ended [s]."""

    @torch.inference_mode()
    def act(self, picture: NDArray[np.uint8], instruction: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Token ids (7,) and the numbers that they mean (7,)."""
        ids, pixels, grid = self._inputs(PIL.Image.fromarray(picture), instruction)
        like = self._network.embeddings
        ids, pixels = ids.to(like.device), pixels.to(like.device, like.dtype)
        self._mark(start=True)
        features = self._network.image_features(pixels, torch.tensor([grid]))
        self._mark()
        clock = _Clock(self._base)
        output = self._llama.generate(
            inputs_embeds=self._network.embed(ids, features),
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=NUM_ACTION_TOKENS,
            max_new_tokens=NUM_ACTION_TOKENS,
            pad_token_id=self._network.config.pad_token_id,
            eos_token_id=self._processor.end_of_turn_id,
            logits_processor=LogitsProcessorList([clock]),
        )
        self.marks_s.append(clock.first_call_s)
        self._mark()
        tokens = output[0, -NUM_ACTION_TOKENS:].cpu().numpy()
        numbers = self._numbers(tokens)
        self._mark()
        return tokens, numbers

    def _inputs(self, picture: PIL.Image.Image, instruction: str) -> tuple[Tensor, Tensor, tuple[int, int]]:
        question = f"<image_start><image><image_end>\nWhat action should the robot take to {instruction}?"
        turns = [{"role": "system", "content": SYSTEM_TEXT}, {"role": "user", "content": question}]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = self._tokenizer(text, return_tensors="pt").input_ids
        images = self._processor.image_config
        side = images.base_img_size
        rgb = np.array(picture.resize((256, 256)).convert("RGB"))
        pixels = (rgb / 255.0 - np.array(images.image_mean)) / np.array(images.image_std)
        tensor = torch.tensor(pixels.transpose(2, 0, 1), dtype=torch.float32)[None]
        rows, columns = choose_grid(rgb.shape[1], rgb.shape[0], num_crops=images.num_crops, base_img_size=side)
        stretched = functional.interpolate(tensor, (rows * side, columns * side), mode="bilinear", align_corners=False)
        crops = stretched.reshape(3, rows, side, columns, side).permute(1, 3, 0, 2, 4).reshape(-1, 3, side, side)
        image_id = self._network.config.image_token_id
        at = int((ids[0] == image_id).nonzero())
        placeholder = torch.full((1, self._processor.num_image_tokens(rows, columns)), image_id)
        return torch.cat([ids[:, :at], placeholder, ids[:, at + 1 :]], dim=1), crops, (rows, columns)

    def _numbers(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        edges = np.linspace(-1, 1, NUM_ACTION_BINS)
        centres = (edges[:-1] + edges[1:]) / 2
        normalized = centres[np.clip(self._base - tokens - 1, 0, NUM_ACTION_BINS - 2)]
        numbers = 0.5 * (normalized + 1) * (self._q99 - self._q01) + self._q01
        numbers[6] = normalized[6]
        return numbers

    def _mark(self, *, start: bool = False) -> None:
        if start:
            self.marks_s = []
        self.marks_s.append(now_s())


class _Clock(LogitsProcessor):
    """Leaves action ids only, and notes when the first scores were there."""

    def __init__(self, base_vocab_size: int) -> None:
        self._actions = slice(base_vocab_size - NUM_ACTION_BINS, base_vocab_size)
        self.first_call_s = 0.0

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - the library's signature
        """The scores with every other id impossible."""
        if not self.first_call_s:
            self.first_call_s = now_s()
        limited = torch.full_like(scores, -torch.inf)
        limited[:, self._actions] = scores[:, self._actions]
        return limited


def now_s() -> float:
    """A clock [s], read when everything that a GPU was given is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
