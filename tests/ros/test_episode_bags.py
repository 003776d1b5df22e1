import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from magma_ros.errors import RecordingError
from magma_ros.ros.bag_reader import BagReader
from magma_ros.ros.episode_bags import EpisodeBags, next_episode, require_folder
from magma_ros.ros.interface import ACTION_CONTRACT, INSTRUCTION

TOPICS = {"/contract": ACTION_CONTRACT, "/instruction": INSTRUCTION}


def say(bags, name, text, *, at=1):
    bags.offer(name, at, serialize_message(String(data=text)))


def texts(folder):
    return [(m.topic, m.message.data) for m in BagReader(folder).read(dict.fromkeys(TOPICS, String))]


@pytest.fixture
def bags():
    return EpisodeBags(TOPICS, min_free_bytes=0)


def test_each_bag_begins_with_what_latched_topics_said_last(tmp_path, bags):
    """A contract that was told once is in every episode; other messages are only in the one that they came in."""
    say(bags, "/contract", "old")
    say(bags, "/contract", "new")
    say(bags, "/instruction", "before all")
    for number in range(2):
        bags.begin(tmp_path / f"{number}", now_ns=10, notes={})
        say(bags, "/instruction", f"in {number}", at=11)
        assert "" == bags.end({})
        say(bags, "/instruction", "between")
    for number in range(2):
        assert [("/contract", "new"), ("/instruction", f"in {number}")] == texts(tmp_path / f"{number}")


def test_a_discarded_bag_is_gone(tmp_path, bags):
    """Its folder too, and the next one takes its number."""
    folder = next_episode(tmp_path)
    bags.begin(folder, now_ns=10, notes={"instruction": "lift"})
    say(bags, "/instruction", "lift")
    assert "" == bags.discard()
    assert [] == list(tmp_path.iterdir())
    assert folder == next_episode(tmp_path)


def test_without_a_bag_there_is_nothing_to_end(bags):
    """The answer says so instead of an error."""
    assert ["no episode is under way"] * 2 == [bags.end({}), bags.discard()]


def test_episodes_are_numbered_on(tmp_path):
    """A number that was used is not used again, whatever else is in the folder."""
    assert "episode_000000" == next_episode(tmp_path / "not there").name
    for name in ("episode_000000", "episode_000041", "episode_x", "notes"):
        (tmp_path / name).mkdir()
    assert tmp_path / "episode_000042" == next_episode(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    """A file in its place is told at the start, not at the first episode."""
    (tmp_path / "demos").write_text("")
    with pytest.raises(RecordingError, match="demos"):
        require_folder(tmp_path / "demos" / "today")
