"""`magma-ros doctor`: small checks of machine, ROS installation, configuration and graph, each with its cure."""
