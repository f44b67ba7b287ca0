"""Faces of raw videos: found, told apart, cut out upright and of one size, without trembling."""
