"""Ways to look at an image of any size, whose memory and time are measured; one file each."""
