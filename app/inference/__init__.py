"""What the model does for a client: reports, answers, drawings."""
