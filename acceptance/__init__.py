"""`make acceptance`: the public contract, on a stack of its own, in a local cloud or on AWS.

`driver.py` drives a deployed holiday, here and in tests/saga; `checks.py` is what must hold; `places.py` is where it
runs, and how all of it is removed again.
"""
