"""Alert rows, acts of people and ticks → episodes, silences and what is to be told to whom."""
