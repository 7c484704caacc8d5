"""`python -m tests.operations.forgetful run …`: the gateway, whose log lets rows go soon."""

from carbon import accountant
from tanflow.cli import main

if __name__ == "__main__":
    vars(accountant)["_CHECKPOINT_S"] = 1.0  # a minute otherwise; what is not kept is read from the log again
    main()
