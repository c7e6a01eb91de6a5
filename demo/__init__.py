"""The holiday's own commands on the local cloud, behind `make up`, `demo`, `trip`, `rows` and so on.

Which services and tables there are, they read from the outputs of the stack: a service that is added appears in each.
"""
