"""Where datasets come from: files, other libraries, and what is in memory."""
