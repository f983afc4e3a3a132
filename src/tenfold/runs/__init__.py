"""The experiment: plan, trials, workers. The only layer that opens a test fold."""
