"""Monthly budget of a stage, with notifications at 80 and 100 percent."""

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from constructs import Construct

from infra.model import Stage

REGIONS_WITHOUT = frozenset(
    {
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-3", "ap-south-2"),
        *("ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7"),
        *("ca-west-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2"),
        *("il-central-1", "me-central-1", "mx-central-1"),
    }
)
"""Regions where CloudFormation lacks AWS::Budgets::Budget and rejects any template that has it (`make check` compares
this list with cfn-lint's)."""


class MonthlyBudget(Construct):
    """Monthly AWS budget of the resources with the stage's tag. Free, because it has no actions.

    No cost is counted until the key `stage` is activated as a cost allocation tag (docs/operations.md).
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        region = cdk.Stack.of(self).region
        if region in REGIONS_WITHOUT:
            warning = f"no budget: {region} lacks AWS::Budgets::Budget; create it as docs/operations.md describes"
            cdk.Annotations.of(self).add_warning_v2(f"{stage.project}:no-budget", warning)
            return
        budgets.CfnBudget(
            self,
            "Budget",
            budget={
                "budgetType": "COST",
                "timeUnit": "MONTHLY",
                "budgetLimit": {"amount": stage.monthly_budget, "unit": "USD"},
                "costFilters": {"TagKeyValue": [f"user:stage${stage.name}"]},
            },
            notifications_with_subscribers=[
                {
                    "notification": {
                        "notificationType": "ACTUAL",
                        "comparisonOperator": "GREATER_THAN",
                        "threshold": percent,
                        "thresholdType": "PERCENTAGE",
                    },
                    "subscribers": [{"subscriptionType": "EMAIL", "address": stage.alarm_address}],
                }
                for percent in (80, 100)
            ],
        )
