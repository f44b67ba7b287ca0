"""The model that is in the box: made from rendered faces alone."""
