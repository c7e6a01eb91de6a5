"""A cloud on this machine for any CDK app: an AWS emulator, a real Restate server, and the real `cdk deploy` into them.

It knows nothing of what is deployed. Everything here that starts a server, `make` targets and test fixtures alike,
starts it through `localcloud.cloud`.
"""
