"""Workers that do many long jobs, on this machine or on a cluster, and one pump that hands them out."""
