"""Studies: lists of independent runs that are trained, kept, resumed and put together in one table."""
