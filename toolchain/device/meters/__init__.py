"""What measures a device's energy: opened, asked for a window, closed."""
