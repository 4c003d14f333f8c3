"""What the five papers printed: their tables as data, and their claims with what would test them."""
