"""The face landmarker's networks as torch modules that take many pictures at once, and who gathers these."""
