"""Which episodes train and which judge is decided by the seed; the data is known by its hash."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import EpisodeWriter
from magma_ros.errors import EpisodeError, RecipeError
from magma_ros.finetune.digests import digest
from magma_ros.finetune.material import choose_held_out, find_material, make_mixture
from magma_ros.finetune.recipe import DataItem
from magma_ros.finetune.start import find_start, make_pipeline
from tests.finetune.short_runs import short_recipe
from tests.invented_episodes import invented_episode
from tests.model.random_checkpoints import CONTRACT


def test_no_episode_both_trains_and_judges(episodes_folder: Path, tmp_path: Path) -> None:
    """Of the first ten of twelve episodes a fifth is held out, the same two every time, others for another seed."""
    item = DataItem(episodes=episodes_folder, limit=10)
    recipes = [
        short_recipe(episodes_folder, tmp_path, data=(item,), held_out_share=0.2, seed=seed) for seed in range(4)
    ]
    (one,) = find_material(recipes[0]).episodes
    assert one.held_out is not None
    assert 2 == len(one.held_out.numbers or ())
    assert list(range(10)) == sorted((one.training.numbers or ()) + (one.held_out.numbers or ()))
    assert find_material(recipes[0]) == find_material(recipes[0])
    assert 1 < len({find_material(recipe).held_out[0].numbers for recipe in recipes})


def test_an_episode_that_judges_one_item_trains_no_other(episodes_folder: Path, tmp_path: Path) -> None:
    """Two items of one folder, by two paths and with two limits: what either holds out is in neither's training."""
    (tmp_path / "link").symlink_to(episodes_folder)
    items = (DataItem(episodes=episodes_folder), DataItem(episodes=tmp_path / "link", limit=7))
    recipe = short_recipe(episodes_folder, tmp_path, data=items, held_out_share=0.3)
    material = find_material(recipe)
    first, second = ({*chosen.numbers} for chosen in material.held_out)
    assert first - second
    assert second - first
    assert [set(range(12)) - first - second, set(range(7)) - first - second] == [
        {*chosen.numbers} for chosen in material.training
    ]
    for item, held_out in zip(items, (first, second), strict=True):
        alone = find_material(short_recipe(episodes_folder, tmp_path, data=(item,), held_out_share=0.3))
        assert held_out == {*alone.held_out[0].numbers}


def test_a_folder_that_trains_is_no_judge(episodes_folder: Path, tmp_path: Path) -> None:
    """Neither by its own path nor by a link to it."""
    (tmp_path / "link").symlink_to(episodes_folder)
    for judge in (episodes_folder, tmp_path / "link"):
        with pytest.raises(RecipeError, match="judged_by: expected folders that are not in data"):
            find_material(short_recipe(episodes_folder, tmp_path, judged_by=(judge,)))


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (100, 0.05, 5), (9, 0.0, 0)]
)
def test_something_always_trains(count: int, share: float, expected: int) -> None:
    """A share above zero holds out at least one of two episodes, and never all."""
    assert expected == len(choose_held_out(count, share, seed=(0,)))


def test_the_hash_knows_content_and_names_of_files(episodes_folder: Path, tmp_path: Path) -> None:
    """A copy has the same hash; one changed byte, or a file more, another one."""
    copy = Path(shutil.copytree(episodes_folder, tmp_path / "copy"))
    assert digest(episodes_folder) == digest(copy)
    victim = next(path for path in sorted(copy.rglob("*")) if path.is_file())
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = digest(copy)
    victim.write_bytes(content)
    (copy / "more").write_bytes(b"")
    assert 3 == len({digest(episodes_folder), changed, digest(copy)})


def test_the_pictures_of_conversations_are_known_by_their_hash(tmp_path: Path) -> None:
    """One changed byte of a picture that a record shows is other data; a file that nobody names is none."""
    talk = tmp_path / "talk.jsonl"
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cup."}]
    talk.write_text(json.dumps({"image": "shown.png", "conversations": turns}), encoding="utf-8")
    material = find_material(short_recipe(tmp_path, tmp_path, data=(DataItem(conversations=talk),)))
    described = []
    for shown, other in ((b"one", b"one"), (b"one", b"two"), (b"two", b"two")):
        (tmp_path / "shown.png").write_bytes(shown)
        (tmp_path / "other.png").write_bytes(other)
        described.append(material.describe())
    assert described[0] == described[1]
    assert described[1] != described[2]


def test_missing_data_is_an_error(tmp_path: Path) -> None:
    """A folder without episodes, a file of conversations that is not there, and conversations without any contract."""
    with pytest.raises(EpisodeError):
        find_material(short_recipe(tmp_path / "none", tmp_path))
    missing = DataItem(conversations=tmp_path / "none.json")
    with pytest.raises(RecipeError, match="expected a file"):
        find_material(short_recipe(tmp_path, tmp_path, data=(missing,)))
    (tmp_path / "some.json").write_text("[]", encoding="utf-8")
    only_words = short_recipe(tmp_path, tmp_path, data=(DataItem(conversations=tmp_path / "some.json"),))
    with pytest.raises(RecipeError, match="conversations alone"):
        _ = find_material(only_words).contract


def test_a_result_sees_the_cameras_that_its_recipe_names(tmp_path: Path) -> None:
    """Of two recorded cameras all by default, or those named, in their order, in contract and samples; no other."""
    (camera,), episode = CONTRACT.cameras, invented_episode(0)
    both = {"image": episode.images["image"], "wrist": 255 - episode.images["image"]}
    contract = replace(CONTRACT, cameras=(camera, replace(camera, name="wrist")))
    with EpisodeWriter(tmp_path / "data", contract=contract, source={}) as writer:
        writer.append(replace(episode, images=both))

    def sample_of(cameras: tuple[str, ...] | None) -> tuple[list[str], list[np.ndarray]]:
        name = "-".join(cameras or ("all",))
        recipe = short_recipe(tmp_path / "data", tmp_path / name, cameras=cameras, held_out_share=0.0)
        material = find_material(recipe)
        start = find_start(recipe, material, writes=True)
        pipeline = make_pipeline(recipe, start, material)
        (source,) = make_mixture(recipe, material, pipeline, start.processor()).sources
        pictures = source.sample(0, np.random.default_rng(0)).model_input.images
        return [one.name for one in pipeline.contract.cameras], list(pictures)

    names, pictures = sample_of(None)
    assert ["image", "wrist"] == names
    assert (["wrist", "image"], 2) == (sample_of(("wrist", "image"))[0], len(pictures))
    alone, (picture,) = sample_of(("wrist",))
    assert ["wrist"] == alone
    np.testing.assert_array_equal(pictures[1], picture)
    with pytest.raises(RecipeError, match=r"cameras: expected some of \['image', 'wrist'\]"):
        sample_of(("side",))


def test_the_items_share_the_memory_for_pictures(episodes_folder: Path, tmp_path: Path) -> None:
    """With room for eight of each twelve episodes, a pass mixes eight of each at a time, whatever the other has."""
    twice = (
        DataItem(episodes=episodes_folder),
        DataItem(episodes=Path(shutil.copytree(episodes_folder, tmp_path / "b"))),
    )
    eight_gib = 8 * 6 * 64 * 64 * 3 / 2**30
    recipe = short_recipe(episodes_folder, tmp_path / "run", data=twice, picture_memory_gib=2 * eight_gib)
    material = find_material(recipe)
    start = find_start(recipe, material, writes=True)
    mixture = make_mixture(recipe, material, make_pipeline(recipe, start, material), start.processor())
    for source in mixture.sources:
        order = source.order(np.random.default_rng(0))
        assert [8, 4] == [len(set(part // 6)) for part in (order[:48], order[48:])]
