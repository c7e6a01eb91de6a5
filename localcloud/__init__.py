"""The laptop's cloud: an AWS emulator and a real Restate server, the real `cdk deploy` into them, and the demo.

Everything here that starts a server, `make` targets and test fixtures alike, starts it through `localcloud.cloud`.
"""
