"""Our episodes into the formats of others: rosbag2 MCAP, HDF5 as LIBERO has it, LeRobot v2.1; v3.0 is our own."""
