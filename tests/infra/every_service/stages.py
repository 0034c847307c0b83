from infra.model import Stage

GITHUB = None
STAGES = (Stage(name="dev", min_tasks=1),)
PREVIEW = Stage(name="pr-N", min_tasks=1, max_tasks=1)
