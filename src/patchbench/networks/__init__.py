"""Neural networks and the loop that trains them; used by encoders and the whole-image CNN."""
