"""How a query runs: stages of fused operators, and the steps between them."""
