"""What is known of a model without its weights: where it lies, what it needs, what it fits."""
