"""What the service holds durably: instances in the spool, studies and jobs in the database."""
