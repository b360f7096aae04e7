"""What is handed over of a measured sample: Word report with native charts, tables, annotations, pictures.

Everything is written from one ``ReportInput``, so that all files tell the same numbers. The same input gives the same
bytes: dates are handed in.
"""
