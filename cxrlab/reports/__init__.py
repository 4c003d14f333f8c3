"""Results as files: overlays, evaluation folders."""
