"""Each a CDK interface or the class that implements it. jsii names some parameters differently in the class, so type
checkers reject it where the interface is expected; callers may pass either."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager

AlarmAction = cloudwatch.IAlarmAction | actions.SnsAction | actions.LambdaAction
Key = kms.IKey | kms.Key
Role = iam.IRole | iam.Role
Secret = secretsmanager.ISecret | secretsmanager.Secret
Version = lambda_.IVersion | lambda_.Version
