"""Remove the unimportant: channel groups, how important each channel is, and the cut itself."""
