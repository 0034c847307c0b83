"""Monthly budget of a stage, with notifications at 80 and 100 percent."""

from aws_cdk import aws_budgets as budgets
from constructs import Construct

_PERCENT = (80, 100)


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
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:{tag}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type="ACTUAL",
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=email)],
                )
                for percent in _PERCENT
            ],
        )
