"""HTTP: one router a file. `problems.py` is the only place that turns an exception into a status."""
