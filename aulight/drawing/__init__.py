"""Pictures of intensities: curves, bars on faces, heat."""
