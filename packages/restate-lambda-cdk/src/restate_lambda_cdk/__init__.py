"""Restate services on AWS Lambda, deployed and registered by an AWS CDK app in Python."""

from .deployer import HANDLER, ServiceDeployer
from .environment import RestateCloudEnvironment, RestateEnvironment, RestateServer
from .following import follow_references
from .registration import ServiceRegistration

__all__ = [
    "HANDLER",
    "RestateCloudEnvironment",
    "RestateEnvironment",
    "RestateServer",
    "ServiceDeployer",
    "ServiceRegistration",
    "follow_references",
]
