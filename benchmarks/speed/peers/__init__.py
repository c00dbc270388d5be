"""Training programs as users of other libraries run them; each is a process of its own."""
