"""What turns patch pixels into embeddings, one encoder a file."""
