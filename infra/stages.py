"""Your stages. infra/model.py explains each field of Stage, with its cost."""

from infra.model import Repository, Severity, Stage

GITHUB: Repository | None = None
"""The repository whose workflows may deploy; None creates no roles for GitHub."""

STAGES = (
    # The first stage is the default of `cdk` commands. One task, without a web ACL and a dashboard.
    Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, max_reads=200, max_writes=20, monthly_budget=60),
    # Set domain and alarm_email before the first deployment.
    Stage(
        name="prod",
        promotes_from="dev",
        max_tasks=20,
        max_reads=4000,
        cpu_seconds=20,
        protect=True,
        log_days=90,
        blocking_severity=Severity.HIGH,
        monthly_budget=200,
    ),
)
