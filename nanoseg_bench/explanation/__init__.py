"""What a network made of one micrograph, and the picture that shows it."""
