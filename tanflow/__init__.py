"""The program: command line, composition of a gateway, HTTP API and local page."""
