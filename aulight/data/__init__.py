"""Videos, faces and labels: from raw recordings to batches of clips."""
