"""Series and their history, over HTTP."""
