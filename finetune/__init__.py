"""Episodes to checkpoints: datasets, importers, training."""
