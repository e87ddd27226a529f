"""How a device that runs programs is reached: files pushed, programs started, results read back."""
