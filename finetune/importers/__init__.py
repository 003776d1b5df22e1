"""Demonstrations of others into our episodes: rosbag2 MCAP, LIBERO HDF5, LeRobot, RLDS; each with convention checks."""
