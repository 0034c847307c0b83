"""The topic that alarms speak to, and who listens."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.base import acknowledge


def alarm_topic(scope: Construct, *, name: str, email: str | None) -> sns.Topic:
    """Return a topic that this account's alarms may publish to; `email` confirms its subscription once."""
    topic = sns.Topic(scope, "Topic", topic_name=name, enforce_ssl=True)
    # A policy of its own replaces the topic's default one, which would have let alarms in.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AllowAlarms",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
        )
    )
    acknowledge(topic, {"CKV_AWS_26": "an alarm's text holds names and numbers only, and SNS keeps none of it"})
    if email:
        topic.add_subscription(subscriptions.EmailSubscription(email))
    return topic
