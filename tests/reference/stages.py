"""Stages for the tests: one that builds images, and one that promotes them."""

from infra.model import Repository, Severity, Stage

GITHUB: Repository | None = None
STAGES = (
    Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, monthly_budget=60),
    Stage(
        name="prod",
        promotes_from="dev",
        max_tasks=20,
        cpu_seconds=20,
        protect=True,
        log_days=90,
        blocking_severity=Severity.HIGH,
        monthly_budget=200,
    ),
)
