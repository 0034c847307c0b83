"""Constructs of a stage. They read its fields and expose their resources; the stacks grant permissions."""

import aws_cdk as cdk
from constructs import IConstruct


def cfn_resource(construct: IConstruct) -> cdk.CfnResource:
    """Return the CloudFormation resource behind a construct, to override properties it doesn't support."""
    resource = construct.node.default_child
    if not isinstance(resource, cdk.CfnResource):
        raise TypeError(f"{construct.node.path} has no CloudFormation resource")
    return resource
