"""What several tests build and start."""
