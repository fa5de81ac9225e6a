"""Load on the running service: what it does at its peak, past it, and for half an hour."""
