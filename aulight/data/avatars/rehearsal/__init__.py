"""Avatars in the layouts of datasets that cannot be had, to rehearse what will be done with the real ones."""
