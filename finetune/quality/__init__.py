"""Quality of demonstrations: what would spoil a policy is found, named and shown before training."""

from magma_ros.finetune.quality.findings import CODES, Finding, Severity
from magma_ros.finetune.quality.report import QualityReport, check_dataset
from magma_ros.finetune.quality.thresholds import Thresholds

__all__ = ["CODES", "Finding", "QualityReport", "Severity", "Thresholds", "check_dataset"]
