"""Where INT8 loses accuracy, why, and what to try: the parity ladder, figures by layer, ranked blame."""
