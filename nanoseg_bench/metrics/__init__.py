"""Numbers from masks: overlaps, average precision, counts, diameters and their intervals. No files are read here."""
