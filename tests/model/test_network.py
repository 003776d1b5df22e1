"""The network computes what the reference describes, checked against a second, plain implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from magma_ros.errors import InvalidInputError
from magma_ros.model.config import BACKBONES
from magma_ros.model.network import MagmaNetwork, VisionTower
from magma_ros.model.processing import ModelBatch
from tests.model.random_checkpoints import NANO, random_model

TRUNK = "vision_tower.clip_vision_model.trunk."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random nano checkpoint."""
    return tmp_path_factory.mktemp("nano")


@pytest.fixture(scope="module")
def network(folder: Path) -> MagmaNetwork:
    """Its network."""
    return random_model(folder).network


def plain_tower(weights: dict[str, Tensor], pixels: Tensor, *, eps: float) -> Tensor:
    """ConvNeXt written out over upstream's own key names: stem, stages, and nothing after the last one."""

    def norm(x: Tensor, key: str) -> Tensor:
        channels_last = x.permute(0, 2, 3, 1)
        scale, shift = weights[f"{key}.weight"], weights[f"{key}.bias"]
        return functional.layer_norm(channels_last, scale.shape, scale, shift, eps).permute(0, 3, 1, 2)

    def convolve(x: Tensor, key: str, **options: int) -> Tensor:
        return functional.conv2d(x, weights[f"{key}.weight"], weights[f"{key}.bias"], **options)

    def linear(x: Tensor, key: str) -> Tensor:
        return functional.linear(x, weights[f"{key}.weight"], weights[f"{key}.bias"])

    x = norm(convolve(pixels, TRUNK + "stem.0", stride=4), TRUNK + "stem.1")
    for stage, depth in enumerate(NANO.tower_depths):
        at = f"{TRUNK}stages.{stage}."
        if stage > 0:
            x = convolve(norm(x, at + "downsample.0"), at + "downsample.1", stride=2)
        for block in range(depth):
            key = f"{at}blocks.{block}."
            y = norm(convolve(x, key + "conv_dw", padding=3, groups=x.shape[1]), key + "norm").permute(0, 2, 3, 1)
            y = linear(functional.gelu(linear(y, key + "mlp.fc1")), key + "mlp.fc2") * weights[key + "gamma"]
            x = x + y.permute(0, 3, 1, 2)
    return x


def test_tower_equals_a_plain_convnext_over_upstreams_keys(folder: Path, network: MagmaNetwork) -> None:
    """Stem, ε, layer scale, exact GELU and down-sampling agree with an implementation that shares no code."""
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = plain_tower(load_file(folder / "model.safetensors"), pixels, eps=1e-5)
    torch.testing.assert_close(network.vision_tower(pixels), expected, atol=1e-5, rtol=1e-4)


def test_epsilon_is_the_configured_one_everywhere(network: MagmaNetwork) -> None:
    """No layer keeps the library's own ε of 1e-6."""
    norms = [m for m in network.vision_tower.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {1e-5} == {norm.eps for norm in norms}
    assert 1 + 3 + sum(NANO.tower_depths) == len(norms)


def test_xxlarge_tower_has_the_parameters_of_the_release() -> None:
    """Stem and stages of Magma-8B's tower hold 843.39 million parameters."""
    with torch.device("meta"):
        tower = VisionTower(BACKBONES["convnextxxlarge"])
    assert 843.39 == round(sum(p.numel() for p in tower.parameters()) / 1e6, 2)


def test_crops_are_stitched_to_one_map_with_a_separator_after_each_row(network: MagmaNetwork) -> None:
    """In a picture of 2 by 2 crops, row y holds the features of the left crop, of the right one, then the separator."""
    pixels = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    features = network.projector(network.vision_tower(pixels).permute(0, 2, 3, 1))
    separator = network.projector.row_separator.reshape(1, -1)
    top_left, top_right, bottom_left, bottom_right = features
    rows = []
    for left, right in ((top_left, top_right), (bottom_left, bottom_right)):
        for y in range(2):
            rows += [left[y], right[y], separator]
    torch.testing.assert_close(network.image_features(pixels, torch.tensor([[2, 2]])), torch.cat(rows))


def test_pictures_of_different_grids_follow_each_other(network: MagmaNetwork) -> None:
    """The vectors of a batch of pictures are those of each picture alone, in order."""
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    both = network.image_features(pixels, torch.tensor([[1, 2], [1, 1]]))
    apart = [network.image_features(pixels[:2], torch.tensor([[1, 2]]))]
    apart.append(network.image_features(pixels[2:], torch.tensor([[1, 1]])))
    torch.testing.assert_close(both, torch.cat(apart))


def test_a_grid_that_needs_other_crops_is_refused(network: MagmaNetwork) -> None:
    """Two crops cannot fill a grid of four."""
    with pytest.raises(InvalidInputError, match="need 4 crops, got 2"):
        network.image_features(torch.zeros(2, 3, 64, 64), torch.tensor([[2, 2]]))


def test_picture_vectors_take_the_image_positions_in_order(network: MagmaNetwork) -> None:
    """Text keeps its embeddings; image positions get the vectors by position; another count is an error."""
    image = network.config.image_token_id
    ids = torch.tensor([[5, image, image, 6], [image, 7, 8, 9]])
    vectors = torch.arange(3.0)[:, None].expand(3, NANO.hidden_size)
    embedded = network.embed(ids, vectors)
    table = network.language_model.get_input_embeddings().weight
    torch.testing.assert_close(embedded[0, 0], table[5])
    assert [0.0, 1.0, 2.0] == [float(embedded[b, i, 0].detach()) for b, i in ((0, 1), (0, 2), (1, 0))]
    with pytest.raises(InvalidInputError, match="3 image positions in the ids, 2 image vectors"):
        network.embed(ids, vectors[:2])


@pytest.mark.parametrize("longest", [0, 1])
def test_a_head_that_rows_share_changes_nothing(network: MagmaNetwork, longest: int) -> None:
    """Computed once, the head gives the states and gradients of rows of other lengths that are computed in whole."""
    pad, image = network.config.pad_token_id, network.config.image_token_id
    head = (3, 5, 7, 9)
    num_features = len(network.image_features(torch.zeros(1, 3, 32, 32), torch.ones(1, 2, dtype=torch.int64)))
    tails = ([11, 12], [13, 14, 15, 16, 17]) if longest else ([13, 14, 15, 16, 17], [11])
    rows = [[*head, *[image] * num_features, *tail] for tail in tails]
    length = max(map(len, rows))
    ids = torch.tensor([[pad] * (length - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    batch = ModelBatch(ids, mask, pixels, torch.ones(2, 2, dtype=torch.int64), head=head)
    seen = mask.bool() & (torch.arange(length) >= len(head) + (mask == 0).sum(dim=1, keepdim=True))
    found = []
    for states in (network(batch), network.states_behind_head(batch)):
        network.zero_grad()
        (states[seen].float() ** 3).sum().backward()
        gradients = {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}
        found.append((states[seen].detach(), gradients))
    (plain, plain_gradients), (shared, shared_gradients) = found
    torch.testing.assert_close(plain, shared, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain_gradients, shared_gradients, rtol=1e-3, atol=1e-5)
    assert 0.0 < float(shared_gradients["language_model.model.embed_tokens.weight"][list(head)].abs().min())


def test_without_a_common_head_rows_are_computed_in_whole(network: MagmaNetwork) -> None:
    """A batch without one gives the states of `forward`, head and all."""
    ids = torch.tensor([[3, 5, 7], [4, 5, 7]])
    batch = ModelBatch(ids, torch.ones_like(ids), torch.zeros(0, 3, 32, 32), torch.zeros(0, 2, dtype=torch.int64))
    torch.testing.assert_close(network(batch), network.states_behind_head(batch))
