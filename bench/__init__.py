"""The same work on this program and on bare loops, side by side: `make bench`. docs/performance.md says how it is taken."""
