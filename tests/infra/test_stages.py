import dataclasses
import re

import pytest

from infra.errors import StageError, UnknownStageError
from infra.options import Rollout
from infra.stages import STAGES, stage_named


@pytest.mark.parametrize("name", ["dev", "prod", "playground", "pr-7"])
def test_a_stage_knows_every_name_that_is_derived_from_it(name: str) -> None:
    stage = stage_named(name)
    assert stage.foundation_stack == f"CommentsFoundation-{name}"
    assert stage.service_stack == f"CommentsService-{name}"
    assert stage.table == stage.cluster == stage.service == f"comments-{name}"
    assert stage.moderator_secret == f"comments/{name}/moderator"
    assert stage.app_log_group == f"/comments/{name}/app"
    assert stage.flow_log_group == f"/comments/{name}/flow"
    assert stage.waf_log_group == f"aws-waf-logs-comments-{name}"
    assert stage.log_bucket(account="111122223333", region="xx-1") == f"comments-{name}-logs-111122223333-xx-1"


@pytest.mark.parametrize(
    ("name", "nearest"), [("prd", "did you mean prod?"), ("Dev", "did you mean dev?"), ("playgroud", "playground?")]
)
def test_a_misspelt_stage_is_an_error_that_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownStageError, match=re.escape(nearest)) as raised:
        stage_named(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["pr-", "pr-0", "pr-01", "pr-x", "pr-1234567", "pr-1 ", "", "pr-\uff11"])
def test_a_preview_is_named_by_its_pull_request_only(name: str) -> None:
    with pytest.raises(UnknownStageError, match="dev, prod, playground or pr-N"):
        stage_named(name)


def test_a_preview_is_one_task_without_what_watches_a_real_stage() -> None:
    preview = stage_named("pr-12")
    assert (preview.min_tasks, preview.max_tasks) == (1, 1)
    assert not any((preview.web_acl, preview.flow_logs, preview.dashboard, preview.route_metrics, preview.protect))
    assert preview.is_preview


def test_prod_runs_what_dev_proved_on_the_same_processor() -> None:
    assert STAGES["prod"].architecture is STAGES["dev"].architecture
    assert STAGES["prod"].registry_account == STAGES["dev"].registry_account


def test_only_prod_is_protected() -> None:
    assert [name for name, stage in STAGES.items() if stage.protect] == ["prod"]


def test_a_stage_cannot_be_changed_by_a_typo() -> None:
    with pytest.raises(TypeError):
        dataclasses.replace(STAGES["dev"], max_task=3)  # type: ignore[call-arg]  # the typo is the test
    with pytest.raises(dataclasses.FrozenInstanceError):
        STAGES["dev"].max_tasks = 3  # type: ignore[misc]  # frozen is the test


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("dev", {"min_tasks": 5, "max_tasks": 4}, "stage dev in infra/stages.py: min_tasks is 5"),
        ("dev", {"min_tasks": 0}, "min_tasks is 0"),
        ("prod", {"cpu_seconds": 30}, "cpu_seconds is 30; ECS knows 20 and 60"),
        ("prod", {"spot_share": 101}, "spot_share is 101; it is a percentage"),
        ("playground", {"rollout": Rollout.CANARY}, "rollout is canary, which the playground has not"),
    ],
)
def test_a_stage_that_cannot_work_is_an_error_that_names_the_field(
    monkeypatch: pytest.MonkeyPatch, name: str, fields: dict[str, object], message: str
) -> None:
    monkeypatch.setitem(STAGES, name, dataclasses.replace(STAGES[name], **fields))  # type: ignore[arg-type]  # any field
    with pytest.raises(StageError, match=message):
        stage_named(name)
