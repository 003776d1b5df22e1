"""The ROS 2 edge: message conversion and node wiring."""
