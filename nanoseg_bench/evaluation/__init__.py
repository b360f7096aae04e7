"""What a model is judged on, and how: eval sets, predictions files, the operating point, scores."""
