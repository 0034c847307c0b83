"""Your stages. infra/model.py explains each field of Stage, with its cost."""

from infra.model import Repository, Stage

GITHUB: Repository | None = None
STAGES = (
    Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, settings=(("HELLO_NAME", "dev"),)),
    Stage(name="prod", promotes_from="dev", protect=True),
)
PREVIEW = Stage(name="pr-N", min_tasks=1, max_tasks=1, log_days=1, web_acl=False, flow_logs=False, dashboard=False)
