"""Suppresses findings of cdk-nag with a reason, if AWS CDK is new enough (2.252) to support that."""

import aws_cdk
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Record why this rule's finding in the construct is intended."""
    if hasattr(aws_cdk, "Validations"):
        aws_cdk.Validations.of(construct).acknowledge(aws_cdk.Acknowledgment(id=rule, reason=reason))
