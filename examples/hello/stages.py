"""Your stages. infra/model.py explains each field of Stage, with its cost."""

from infra.model import Repository, Stage

GITHUB: Repository | None = None
STAGES = (
    Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, settings=(("HELLO_NAME", "dev"),)),
    Stage(name="prod", promotes_from="dev", protect=True),
)
