"""From a pinned training set to a registered model."""
