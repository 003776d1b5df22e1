"""A stand-in for ROS 2's `launch_ros`, with the part of its interface that our launch files use."""
