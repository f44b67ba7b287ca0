"""The commands, a file each: settings in, a call into the rooms below, and a line or two on what came of it."""
