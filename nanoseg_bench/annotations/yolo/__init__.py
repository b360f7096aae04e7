"""YOLO-seg text: what Ultralytics trains on."""
