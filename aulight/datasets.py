"""Facts of the datasets that are known by name: what DISFA and BP4D code, of whom, and how they are tested."""

DISFA_AUS: tuple[int, ...] = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BP4D_AUS: tuple[int, ...] = (6, 10, 12, 14, 17)
