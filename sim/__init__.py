"""Environments, suites, experts and evaluation: the world a policy is measured in."""
