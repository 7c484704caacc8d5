"""What the site and its assets do now and today, over HTTP."""
