"""Running units of work: in this process, or in one of their own."""
