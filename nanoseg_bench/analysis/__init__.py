"""From one micrograph and a trained model to what a person wants to know and to see."""
