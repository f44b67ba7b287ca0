"""The two stages of training, and what runs them."""
