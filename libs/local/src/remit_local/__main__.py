"""`python -m remit_local` is `remit`."""

from remit_local.cli import main

if __name__ == "__main__":
    main()
