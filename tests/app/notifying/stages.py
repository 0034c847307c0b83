"""A stage that notifies moderators, one that doesn't, and two for their cost: with a webhook, and with CloudFront."""

from dataclasses import replace

from infra import stages
from infra.model import Domain, Entrance, Repository, Stage
from tests.reference.stages import STAGES as REFERENCE

__all__ = ["GITHUB", "STAGES"]

GITHUB: Repository | None = None
STAGES = (
    Stage(
        name="dev",
        domain=Domain(name="comments.example.com", hosted_zone_id="Z0", zone_name="example.com"),
        settings=(
            ("COMMENTS_NOTIFY", "webhook mail"),
            ("COMMENTS_MAIL_FROM", "comments@example.com"),
            ("COMMENTS_MAIL_TO", "ann@example.com"),
        ),
    ),
    Stage(name="prod", promotes_from="dev"),
    replace(stages.STAGES[0], name="webhook", settings=(("COMMENTS_NOTIFY", "webhook"),)),
    replace(REFERENCE[1], name="cloudfront", entrance=Entrance.CLOUDFRONT),
)
