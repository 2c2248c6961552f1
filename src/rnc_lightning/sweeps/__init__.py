"""Many runs: what a sweep remembers and shows, and runs side by side."""
