"""Training rows: which columns, which rows, read straight from a version's files."""
