"""Rosters: what offices write in spreadsheets, read into events cell by cell. Files and rows only: no database, no HTTP."""
