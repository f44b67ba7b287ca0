"""What is made of the table of a video once its last frame is scored, and of all tables of a folder."""
