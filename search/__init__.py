"""The search for losses: space, controller, evaluation, ledger."""
