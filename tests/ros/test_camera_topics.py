from dataclasses import replace

import pytest
from sensor_msgs.msg import CompressedImage, Image

from magma_ros import arms
from magma_ros.errors import ArmConfigError
from magma_ros.ros.camera_topics import camera_topics

SIM = arms.load("sim")
(ONLY,) = SIM.topics.cameras
TWO = replace(
    SIM, topics=replace(SIM.topics, cameras=(replace(ONLY, topic="a"), replace(ONLY, name="wrist", topic="b")))
)


def named(arm, camera_topic="", image_transport="raw"):
    topics = camera_topics(arm, camera_topic=camera_topic, image_transport=image_transport)
    return {camera: (topic.name, topic.message) for camera, topic in topics.items()}


def test_cameras_are_the_arms():
    """Every camera of the arm's file has its topic, in the file's order."""
    assert {"image": ("camera/image_raw", Image)} == named(SIM)
    assert [("image", ("a", Image)), ("wrist", ("b", Image))] == list(named(TWO).items())


def test_the_only_camera_can_be_elsewhere_and_compressed():
    """camera_topic replaces the arm's own, and compressed adds the transport's suffix and takes the other message."""
    assert {"image": ("front/compressed", CompressedImage)} == named(SIM, "front", "compressed")
    assert ["a/compressed", "b/compressed"] == [name for name, _ in named(TWO, "", "compressed").values()]


@pytest.mark.parametrize(("arm", "topic", "transport"), [(TWO, "front", "raw"), (SIM, "", "theora")])
def test_what_cannot_be_meant_is_refused(arm, topic, transport):
    """One topic for two cameras, or a transport that is not read, is an error that names what there is."""
    with pytest.raises(ArmConfigError, match=r"\['image', 'wrist'\]|'raw', 'compressed'"):
        named(arm, topic, transport)
