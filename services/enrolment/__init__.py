"""Enrolment: programmes, centres, cohorts and the trainees' places in them; owns the register and the offices."""
