"""The custom resource that registers a Lambda function's published version to Restate.

cloudformation.py talks to CloudFormation, registration.py is the algorithm, admin.py talks to Restate. Only the
standard library and the Lambda runtime's own boto3 are used, so this folder is the whole package.
"""
