"""Who computes: strategies, workers, clusters, and the processes of a machine."""
