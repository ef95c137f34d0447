"""One warm Spark Connect engine per warehouse."""
