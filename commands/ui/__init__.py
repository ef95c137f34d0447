"""The pages of `lakehouse dev`: the servers behind one address, who may ask for them, and the first page."""
