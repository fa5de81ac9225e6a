"""Who may do how much, and the record of what they did."""
