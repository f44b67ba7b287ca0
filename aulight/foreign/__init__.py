"""What strangers may have written: YAML and checkpoints, read within bounds and without running anything."""
