"""The migrations of the models."""
