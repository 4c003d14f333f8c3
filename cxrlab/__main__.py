"""`python -m cxrlab`: the command line."""

from cxrlab.cli import main

if __name__ == "__main__":
    main()
