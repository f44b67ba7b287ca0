"""The two training stages as Lightning modules."""
