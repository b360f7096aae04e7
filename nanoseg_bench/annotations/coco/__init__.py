"""COCO instance files and COCO results: the format inside a prepared set, and an exchange format."""
