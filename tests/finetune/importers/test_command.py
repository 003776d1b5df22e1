from pathlib import Path

import pytest

from magma_ros import cli
from magma_ros.episodes import EpisodeDataset
from tests.examples import make_episode
from tests.finetune.exporters.round_trips import assert_same, written
from tests.finetune.importers.foreign_files import demos, write_libero


def run(*words):
    return cli.main([str(word) for word in words])


def test_liberos_files_are_imported_by_one_command(tmp_path, capsys):
    """It says how many episodes and steps there are now."""
    path = write_libero(tmp_path / "a.hdf5", demos(2))
    assert 0 == run("data", "import", "hdf5", path, "--mapping", "libero_hdf5", "--output", tmp_path / "out")
    assert "2 episodes, 116 steps of libero_panda" in capsys.readouterr().out
    assert 2 == len(EpisodeDataset(tmp_path / "out"))


def test_an_import_that_was_stopped_goes_on(tmp_path, capsys):
    """The second run writes what the first did not."""
    originals = demos(3, num_steps=10)
    path = write_libero(tmp_path / "a.hdf5", originals)
    words = ("data", "import", "hdf5", path, "--mapping", "libero_hdf5", "--output", tmp_path / "out")
    assert 0 == run(*words)
    assert 0 == run(*words)
    assert "0 episodes, 0 steps" in capsys.readouterr().out
    assert 3 == len(EpisodeDataset(tmp_path / "out"))
    assert 2 == run(*words, "--action-rows-late", "0")
    assert "another source" in capsys.readouterr().err


def test_another_dataset_of_the_same_kind_does_not_go_on(tmp_path, capsys):
    """What the folder holds is another's: the import stops before anything is written, and names the difference."""
    words = ("--mapping", "libero_hdf5", "--output", tmp_path / "out")
    first, second = demos(2, num_steps=10), demos(5, num_steps=10)[2:]
    path = tmp_path / "a.hdf5"
    assert 0 == run("data", "import", "hdf5", write_libero(path, first), *words)
    assert 2 == run("data", "import", "hdf5", write_libero(path, second), *words)
    said = " ".join(capsys.readouterr().err.split())
    assert "its episode 0 differs from episode 0 of the source in actions" in said
    assert 2 == len(EpisodeDataset(tmp_path / "out"))
    assert 2 == run("data", "import", "hdf5", write_libero(path, first[:1]), *words)
    assert "it has 1 episode more" in " ".join(capsys.readouterr().err.split())


def test_another_mapping_does_not_go_on(tmp_path, capsys):
    """One that reads actions in another unit, or the fingers by another width, would mix two conventions."""
    words = ("data", "import", "hdf5", write_libero(tmp_path / "a.hdf5", demos(2)), "--output", tmp_path / "out")
    assert 0 == run(*words, "--mapping", "libero_hdf5")
    text = Path("config/imports/libero_hdf5.yaml").read_text(encoding="utf-8")
    for old, new, differing in (("metres: 0.05", "metres: 0.0501", "actions"), ("open: 0.04", "open: 0.0401", "state")):
        (tmp_path / "own.yaml").write_text(text.replace(old, new), encoding="utf-8")
        assert 2 == run(*words, "--mapping", tmp_path / "own.yaml")
        assert f"differs from episode 0 of the source in {differing};" in " ".join(capsys.readouterr().err.split())


def test_a_doubt_is_one_refusal_that_names_its_option(tmp_path, capsys):
    """On stderr, with exit status 2; --accept imports as declared."""
    path = write_libero(tmp_path / "a.hdf5", demos(1), control_freq=10)
    words = ("data", "import", "hdf5", path, "--mapping", "libero_hdf5", "--output", tmp_path / "out")
    assert 2 == run(*words)
    assert "--accept irregular_rate" in capsys.readouterr().err
    assert 0 == run(*words, "--accept", "irregular_rate")
    assert 2 == run(*words, "--accept", "rate")
    assert "expected some of" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["mcap", "hdf5"])
def test_what_was_exported_is_imported_again(tmp_path, form, capsys):
    """To the bit, by two commands."""
    dataset = written(tmp_path / "in", [make_episode(8), make_episode(9, seed=1)])
    assert 0 == run("data", "export", form, dataset.folder, "--output", tmp_path / "out")
    assert "2 episodes" in capsys.readouterr().out
    words = (
        "data",
        "import",
        {"mcap": "mcap", "hdf5": "exported-hdf5"}[form],
        tmp_path / "out",
        "--output",
        tmp_path / "again",
    )
    assert 0 == run(*words)
    again = EpisodeDataset(tmp_path / "again")
    assert_same(dataset.read(0), again.read(0))
    assert_same(dataset.read(1), again.read(1))
    assert dataset.contract == again.contract


def test_the_older_lerobot_layout_is_exported(tmp_path, capsys):
    """As v2.1."""
    dataset = written(tmp_path / "in", [make_episode(5)])
    assert 0 == run("data", "export", "lerobot-v2.1", dataset.folder, "--output", tmp_path / "out")
    assert "1 episode, 5 steps" in capsys.readouterr().out
    assert (tmp_path / "out" / "meta" / "episodes.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("hdf5", "x.hdf5"), "mapping: expected a YAML file or one of"),
        (("mcap", "x", "--mapping", "libero_hdf5"), r"mcap has no use for the options ['mapping']"),
        (("hdf5", "x", "--mapping", "libero_hdf5", "--arm", "fr3"), r"hdf5 has no use for the options ['arm']"),
        (("rlds", "a", "b", "--mapping", "bridge_rlds"), "expected one folder for rlds, got 2"),
        (("mcap", "nowhere"), "expected bags, found none"),
        (("hdf5", "nowhere", "--mapping", "libero_hdf5"), "nowhere"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, capsys, words, match):
    """An option that would change nothing is an error, as is one that is missing."""
    assert 2 == run("data", "import", *words, "--output", tmp_path / "out")
    assert match in capsys.readouterr().err


@pytest.mark.parametrize("form", ["hdf5", "lerobot-v2.1"])
def test_an_arm_is_for_bags_alone(tmp_path, capsys, form):
    """An export that writes no topics refuses the option that would change nothing, before it makes anything."""
    dataset = written(tmp_path / "in", [make_episode(5)])
    assert 2 == run("data", "export", form, dataset.folder, "--output", tmp_path / "out", "--arm", "fr3")
    assert f"{form} has no use for the option arm" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
