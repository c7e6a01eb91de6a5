"""Restate services on AWS Lambda, deployed and registered by an AWS CDK app in Python."""

from .cloud_environment import RestateCloudEnvironment
from .deployer import ServiceDeployer
from .environment import RestateEnvironment, RestateServer
from .handler_function import HANDLER
from .monitor import InvocationMonitor
from .references import follow_references
from .registration import ServiceRegistration

__all__ = [
    "HANDLER",
    "InvocationMonitor",
    "RestateCloudEnvironment",
    "RestateEnvironment",
    "RestateServer",
    "ServiceDeployer",
    "ServiceRegistration",
    "follow_references",
]
