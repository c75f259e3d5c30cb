"""What turns embeddings into patch logits, one patch classifier a file."""
