"""How well pictures fit a text: the cosine of CLIP, from a folder with the weights that the user has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import CLIPModel, CLIPProcessor

from magma_ros.errors import CurationError
from magma_ros.types import ImageArray


class Likeness:
    """A CLIP that is asked about pictures and one text; upstream's is `openai/clip-vit-large-patch14-336`."""

    def __init__(self, folder: Path) -> None:
        """Load the CLIP in `folder`, as transformers saves it; nothing is fetched.

        Raises:
            CurationError: it is not one, or has no weights in safetensors.
        """
        try:
            self._model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
            self._processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise CurationError(
                f"{folder}: expected a CLIP with safetensors, as transformers saves it: {error}"
            ) from error

    def best(self, pictures: Sequence[ImageArray], text: str) -> float:
        """The largest cosine between `text` and one of `pictures`, -1 to 1; a text beyond CLIP's length is cut off."""
        most = self._model.config.text_config.max_position_embeddings
        inputs = self._processor(
            text=[text], images=list(pictures), return_tensors="pt", truncation=True, max_length=most
        )
        with torch.inference_mode():
            said = self._model(**inputs)
        return float((said.image_embeds @ said.text_embeds.T).max())
