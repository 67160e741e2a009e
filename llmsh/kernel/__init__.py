"""The kernel: bookkeeping and policy, on one thread. It knows no model, no file and no socket."""
