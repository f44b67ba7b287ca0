"""Run directories, and the sweeps that fill them."""
