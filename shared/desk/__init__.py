"""The desk: pages on which an officer reads and says what a program reads and posts over the API, in the officer's own words."""
