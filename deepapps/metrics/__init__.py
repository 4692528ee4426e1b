"""What is minimized and what is measured."""
