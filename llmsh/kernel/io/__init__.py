"""Input and output of swapped cells: where in the swap file, and in which order."""
