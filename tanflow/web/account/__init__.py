"""The carbon account, its papers and reports, over HTTP."""
