"""How to tell noisy patches: one detector a file; a score for each patch, higher is noisier."""
