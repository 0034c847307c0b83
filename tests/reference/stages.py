"""Stages for the tests: one that builds images, one that promotes them, and previews."""

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
PREVIEW = Stage(
    name="pr-N",
    account="444444444444",
    min_tasks=1,
    max_tasks=1,
    log_days=1,
    web_acl=False,
    flow_logs=False,
    dashboard=False,
    route_metrics=False,
)
