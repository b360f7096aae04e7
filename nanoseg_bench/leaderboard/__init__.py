"""Records to CSV files and tables: a pure function of the records."""
