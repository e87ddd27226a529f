"""What is done with times: the steady state of a series, quantiles with intervals, two artefacts compared."""
