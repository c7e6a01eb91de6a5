"""The holiday's commands for the local cloud, behind `make up`, `demo`, `trip`, `rows` and so on.

They read the services and tables from the outputs of the stack, so a new service appears in each.
"""
