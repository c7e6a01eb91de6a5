"""The custom resource that registers a Lambda function's published version with Restate.

cloudformation.py talks to CloudFormation, properties.py is what it asks for, registering.py and removing.py are the
algorithms, admin.py talks to Restate; api_key.py and variables.py read what AWS knows. Only the standard library and
the Lambda runtime's own boto3 are used, so this folder is the whole package.
"""
