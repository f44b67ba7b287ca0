"""What others may have written: YAML, checkpoints and tables, read within bounds and without running anything."""
