"""Monthly budget of a stage, with notifications at 80 and 100 percent."""

from aws_cdk import aws_budgets as budgets
from constructs import Construct

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
    """Monthly AWS budget. Free, because it has no actions."""

    def __init__(self, scope: Construct, construct_id: str, *, dollars: int, email: str, tag: str) -> None:
        """`tag` (`key$value`) limits the budget to resources with this tag.

        No cost is counted until the key is activated as a cost allocation tag (docs/operations.md).
        """
        super().__init__(scope, construct_id)
        budgets.CfnBudget(
            self,
            "Budget",
            budget={
                "budgetType": "COST",
                "timeUnit": "MONTHLY",
                "budgetLimit": {"amount": dollars, "unit": "USD"},
                "costFilters": {"TagKeyValue": [f"user:{tag}"]},
            },
            notifications_with_subscribers=[
                {
                    "notification": {
                        "notificationType": "ACTUAL",
                        "comparisonOperator": "GREATER_THAN",
                        "threshold": percent,
                        "thresholdType": "PERCENTAGE",
                    },
                    "subscribers": [{"subscriptionType": "EMAIL", "address": email}],
                }
                for percent in (80, 100)
            ],
        )
