"""Other ways of doing the same job, each as its own documentation shows it, and each judged by the same judge."""
