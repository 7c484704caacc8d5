"""What people enter, with its evidence → documents of the ledger and the entries they make."""
