"""Agreement of predictions with labels, and how sure of it one may be."""
