"""Enrolment, certification and reporting, and the command that runs them."""
