"""Set-up and pins: `make setup`, `make lock`, `make update`.

The standard library only, because set-up runs before anything is installed.
"""
