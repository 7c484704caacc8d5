"""What a provider says of the grid right now → rows of the log and factors of the account."""
