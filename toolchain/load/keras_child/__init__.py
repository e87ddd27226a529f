"""What the Keras door runs in TensorFlow's environment; it knows nothing of the toolchain."""
