"""Where rows are written to: formats, parts, and the commit of whole files."""
