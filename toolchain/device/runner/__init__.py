"""What runs a model on a Linux or Android device, and what it says."""
