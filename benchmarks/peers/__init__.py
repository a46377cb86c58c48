"""Each peer as a program of its own, for its own virtual environment: arrays in, points of a curve out."""
