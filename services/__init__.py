"""Enrolment, certification and reporting, and the command that runs them."""

import gc

# Loading makes a hundred thousand objects that stay: to look through them after every 700 is a tenth of a start.
gc.set_threshold(100_000, 20, 100)
