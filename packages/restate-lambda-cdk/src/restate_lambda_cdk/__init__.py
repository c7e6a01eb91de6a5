"""Restate services on AWS Lambda, deployed and registered by an AWS CDK app in Python."""

from pathlib import Path

HANDLER = Path(__file__).resolve().parent / "handler"
"""The package of the function that registers services: the standard library and the Lambda runtime's boto3 do."""
