"""How good a model is, and whether it takes over."""
