"""What turns the patch logits of an image into one decision, one rule a file."""
