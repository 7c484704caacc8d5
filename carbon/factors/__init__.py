"""What a unit of fuel, process, gas or heat emits → the factors of the account."""
