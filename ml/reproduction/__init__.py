"""Past runs made again and compared."""
