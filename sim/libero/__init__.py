"""LIBERO, the real benchmark: its tasks, scenes, initial states and predicates behind our environment protocol."""
