"""`python -m ckptscan`."""

from ckptscan.commands import main

main()
