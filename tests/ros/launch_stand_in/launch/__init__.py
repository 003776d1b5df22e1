"""A stand-in for ROS 2's `launch`, with the part of its interface that our launch files use; see `perform.py`."""


class LaunchDescription:
    """An ordered list of entities."""

    def __init__(self, initial_entities):
        self.entities = list(initial_entities)
