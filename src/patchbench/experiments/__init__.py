"""What happens if a part is taken away or moved: one experiment a file, on a fitted method."""
