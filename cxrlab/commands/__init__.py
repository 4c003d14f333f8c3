"""The verbs of the command line, one module a subject; each calls one workflow."""
