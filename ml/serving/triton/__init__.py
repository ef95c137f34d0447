"""A registered model as a repository that Triton Inference Server loads."""
