"""A configuration and its data directory, the gateway running or not → what is wrong, since when, and what to do."""
