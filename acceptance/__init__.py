"""`make acceptance`: checks the public contract on a separate stack, in a local cloud or on AWS.

`driver.py` calls a deployed holiday, here and in tests/saga; `checks.py` has the checks; `sites.py` and `aws.py` deploy
the stack and remove everything again.
"""
