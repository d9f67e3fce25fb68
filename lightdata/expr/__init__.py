"""How a column is computed: Polars expressions, with image and tensor chains as columns that do not exist yet."""
