"""Where an included launch description comes from."""


class PythonLaunchDescriptionSource:
    """A Python launch file."""

    def __init__(self, launch_file_path):
        self.location = launch_file_path
