"""One rewrite in each file; its docstring is the equation and its legality."""
