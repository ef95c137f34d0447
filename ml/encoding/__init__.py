"""Raw columns become numbers: learned statistics, codes, tensors."""
