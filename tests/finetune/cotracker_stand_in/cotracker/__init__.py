"""The package cotracker, as far as `finetune/cotracker.py` uses it."""
