"""Reusable constructs. Each takes plain keyword arguments and exposes what it creates; the stacks grant permissions."""

import aws_cdk as cdk
from constructs import IConstruct


def cfn_resource(construct: IConstruct) -> cdk.CfnResource:
    """Return the CloudFormation resource behind a construct, to override properties that the construct lacks."""
    resource = construct.node.default_child
    if not isinstance(resource, cdk.CfnResource):
        raise TypeError(f"{construct.node.path} has no CloudFormation resource")
    return resource
