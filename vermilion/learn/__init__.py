"""The pure part: arrays in, arrays out; no file, clock, network or global random state."""
