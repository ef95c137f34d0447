"""Whether what a model reads and says is still what it was trained on: reference, drift, calibration."""
