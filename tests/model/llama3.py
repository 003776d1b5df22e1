"""The tokenizer of the release: Llama-3's vocabulary (from the package `llama-models`) and Magma's added tokens."""

from __future__ import annotations

import base64
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors
from tokenizers.decoders import ByteLevel

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 cuts a text before merging (meta-llama/llama-models, `tokenizer.py`)."""

_NAMED = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}
ADDED = (
    *(f"<|{_NAMED.get(index, f'reserved_special_token_{index}')}|>" for index in range(256)),
    *("<pad>", "<image>", "<action>", "<image_start>", "<image_end>"),
)
"""Tokens 128000 … 128260."""


@cache
def tokenizer() -> Tokenizer:
    """The tokenizer, built in about two seconds."""
    spec = find_spec("llama_models")
    assert spec is not None
    assert spec.origin is not None
    ranks = {}
    for line in (Path(spec.origin).parent / "llama3" / "tokenizer.model").read_bytes().splitlines():
        piece, rank = line.split()
        ranks[base64.b64decode(piece)] = int(rank)
    made = Tokenizer(models.BPE(vocab={_written(piece): rank for piece, rank in ranks.items()}, merges=_merges(ranks)))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ADDED])
    made.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 128000)]
    )
    return made


def _merges(ranks: dict[bytes, int]) -> list[tuple[str, str]]:
    """Every way to make a piece of two others, in the order in which tiktoken would join them."""
    found = []
    for piece, rank in ranks.items():
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [(left, right) for left, right in halves if left in ranks and right in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        found += [(rank, left, right) for left, right in known]
    found.sort(key=lambda merge: merge[0])
    return [(_written(left), _written(right)) for _, left, right in found]


@cache
def _byte_letters() -> dict[int, str]:
    """GPT-2's letter for each byte: itself where it prints, otherwise one from 256 on."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printing]
    return {byte: chr(byte) for byte in printing} | {byte: chr(256 + index) for index, byte in enumerate(others)}


def _written(piece: bytes) -> str:
    return "".join(_byte_letters()[byte] for byte in piece)
