"""The graph: Dagster definitions over the packages below; thin, and the only place that knows Dagster."""

import warnings

import dagster as dg

# Backfill policies and freshness are "beta" in Dagster 1.13; the version is pinned, and the notice is long.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

# What Dagster's UI loads, and the name by which it knows it: as [tool.dagster] in pyproject.toml says.
MODULE, LOCATION = "orchestration.definitions", "lakehouse"
