"""What a checkpoint is, needs and has wrong with it, from its small files and the headers of its weights."""
