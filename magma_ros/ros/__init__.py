"""The ROS 2 edge: message conversion and node wiring. Importing it needs the compiled messages."""

import importlib.util

from magma_ros.errors import NotBuiltError

if importlib.util.find_spec("magma_ros.msg") is None:
    raise NotBuiltError(
        "magma_ros.ros needs the compiled messages (magma_ros.msg). pip installs the Python part alone: "
        "run `make setup` in a checkout, or `colcon build` in a workspace and source its install/setup.bash"
    )
