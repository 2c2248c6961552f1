"""Metrics of predictions and of features, as functions and as `torchmetrics.Metric` classes."""

from rnc_lightning.metrics.angular_error import AngularError, angular_error
from rnc_lightning.metrics.feature_ordinality import FeatureOrdinality, feature_ordinality
from rnc_lightning.metrics.feature_spread import effective_rank, view_alignment
from rnc_lightning.metrics.geometric_mean_error import GeometricMeanError, geometric_mean_error
from rnc_lightning.metrics.probes import neighbours_error, ridge_error
from rnc_lightning.metrics.regression import EpochMeanAbsoluteError, regression_metrics

__all__ = [
    "AngularError",
    "EpochMeanAbsoluteError",
    "FeatureOrdinality",
    "GeometricMeanError",
    "angular_error",
    "effective_rank",
    "feature_ordinality",
    "geometric_mean_error",
    "neighbours_error",
    "regression_metrics",
    "ridge_error",
    "view_alignment",
]
