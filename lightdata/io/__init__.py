"""Where rows come from and where they go: sources, sinks, files and the commit of outputs."""
