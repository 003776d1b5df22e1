"""CLIP from a folder says how well pictures fit a text; clips that do not are dropped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from magma_ros.errors import CurationError
from magma_ros.finetune.curation.curate import Job, curate
from magma_ros.finetune.curation.likeness import Likeness
from magma_ros.finetune.curation.segments import Rules
from tests.finetune.curation.films import shot, write_film


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with 32 px pictures, one layer and random weights."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    words = {word: number for number, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(letters), "eos_token_id": len(letters) + 1}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**size, **ends, "vocab_size": len(words), "max_position_embeddings": 77, "projection_dim": 8},
        vision_config={**size, "image_size": 32, "patch_size": 8, "projection_dim": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(pictures, CLIPTokenizer(vocab=words, merges=[])).save_pretrained(folder)
    return folder


def test_the_best_of_the_pictures_counts(clip: Path) -> None:
    """A cosine, the same each time; of several pictures the largest, and a very long text is cut off."""
    likeness = Likeness(clip)
    pictures = [shot(seed, 1)[0] for seed in range(4)]
    alone = [likeness.best([picture], "cut bread") for picture in pictures]
    assert 4 == len(set(alone))
    assert max(alone) == pytest.approx(likeness.best(pictures, "cut bread"), abs=1e-5)
    assert -1 <= likeness.best(pictures, "cut bread " * 200) <= 1


def test_clips_that_do_not_show_their_text_are_dropped(clip: Path, tmp_path: Path) -> None:
    """With the limit between two clips' scores one stays; the manifest has both scores."""
    write_film(tmp_path / "a.mp4", shot(0, 30), shot(1, 30))
    segments = tmp_path / "segments.jsonl"
    segments.write_text(json.dumps({"video": "a.mp4", "start": 0, "end": 6, "text": "cut bread"}))

    def line(limit: float) -> dict[str, list[dict[str, object]]]:
        output = tmp_path / str(limit)
        rules = Rules(min_clip_score=limit)
        manifest = curate(Job(videos=tmp_path, segments=segments, output=output, rules=rules, clip=clip))
        found: dict[str, list[dict[str, object]]] = json.loads(manifest.read_text())
        return found

    scores = [float(str(found["clip_score"])) for found in line(-1.0)["clips"]]
    assert 2 == len(set(scores))
    limit = float(np.mean(scores))
    chosen = line(limit)
    assert [max(scores)] == [found["clip_score"] for found in chosen["clips"]]
    assert ["clip_score"] == [drop["reason"] for drop in chosen["dropped"]]
    assert f"{min(scores)}, wanted {limit:g}" == chosen["dropped"][0]["detail"]


def test_a_folder_without_a_clip_is_refused(tmp_path: Path) -> None:
    """Nothing is fetched in its place."""
    with pytest.raises(CurationError, match="expected a CLIP with safetensors"):
        Likeness(tmp_path)
