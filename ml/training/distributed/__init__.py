"""One training by several workers on Spark."""
