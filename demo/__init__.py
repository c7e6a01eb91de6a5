"""The holiday's own commands on the local cloud, behind `make up`, `demo`, `trip`, `serve`, `stuck` and `synth`.

Which services and tables there are, they read from the outputs of the stack: a service that is added appears in each.
"""
