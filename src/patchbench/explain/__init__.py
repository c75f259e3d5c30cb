"""Ways to say where in an image a network finds its class; each module is one."""
