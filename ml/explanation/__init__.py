"""A score followed back to its raw rows."""
