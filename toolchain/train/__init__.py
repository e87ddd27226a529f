"""The only optimiser in the house: fine-tuning, distillation, batch-norm statistics."""
