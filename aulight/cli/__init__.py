"""The command line: which command, with which settings, and a user's mistakes in one line."""
