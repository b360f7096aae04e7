"""VGG Image Annotator 1 and 2: project files and JSON exports."""
