"""From a plan (model × seed) to records: train, predict, score; each step resumable."""
