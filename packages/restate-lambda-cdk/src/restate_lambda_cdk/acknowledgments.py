"""cdk-nag's findings that are argued where they arise, where AWS CDK is new enough (2.252) to keep such arguments."""

import aws_cdk
from constructs import Construct


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Say why what this rule finds in the construct is meant."""
    if hasattr(aws_cdk, "Validations"):
        aws_cdk.Validations.of(construct).acknowledge(aws_cdk.Acknowledgment(id=rule, reason=reason))
