"""Certification: schemes, assessments and certificates, as the awarding bodies tell of them."""
