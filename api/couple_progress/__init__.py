"""Two partners side by side: the progress of each, how far apart they are, and how alike."""
