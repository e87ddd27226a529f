"""Post-training INT8: observe ranges, choose parameters by the specification, rewrite the graph."""
