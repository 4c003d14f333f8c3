"""Work that outlives the browser and the server: a queue on disk and the processes that serve it."""
