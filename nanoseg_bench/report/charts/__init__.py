"""Charts as Word, Excel and PowerPoint draw them: DrawingML with the numbers in an embedded workbook.

python-pptx writes the XML of each chart; ``word/chart_parts.py`` puts it into a document. A reader can click a chart in
Word, edit its data and change its look.
"""
