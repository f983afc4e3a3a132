"""Published claims that tenfold repeats: one file a claim, found by its name."""
