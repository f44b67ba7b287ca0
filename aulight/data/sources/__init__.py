"""Raw data in the layouts that labs have: one file a layout, and a user's tables of labels and subjects."""
