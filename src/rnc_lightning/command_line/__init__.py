"""From the words of a command to a configuration, and back to what a person reads."""
