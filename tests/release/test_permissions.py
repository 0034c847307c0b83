"""Roles of workflows: how they differ from each other, and that docs/permissions.md lists their permissions.

tests/app/playground/test_roles.py shows that they are sufficient and used.
"""

from infra.permissions import WORKFLOW_ROLES
from tests.infra.synthesis import actions_of, list_of, statements_of, templates, the
from tests.release.permission_table import rows

ROLES = {role.name: actions_of(role) for role in WORKFLOW_ROLES}
DEV, PROD = "notes-deploy-dev", "notes-deploy-prod"


def test_prod_may_do_what_dev_may_except_push_and_replace_its_failed_first_deployment() -> None:
    assert ROLES[PROD] - ROLES[DEV] == {"cloudformation:UpdateTerminationProtection"}
    assert ROLES[DEV] - ROLES[PROD] == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
    }


def test_the_document_has_every_permission_and_no_other() -> None:
    documented = [(role, action) for role, action, _ in rows() if role != "task"]  # those are the workload's
    assert len(documented) == len(set(documented))
    service = templates("playground").service
    task = the(service, "AWS::ECS::TaskDefinition")
    of_execution = {
        ("execution", action)
        for statement in statements_of(service, task["ExecutionRoleArn"]["Fn::GetAtt"][0])
        for action in list_of(statement["Action"])
    }
    of_workflows = {(role.name.rpartition("-")[2], action) for role in WORKFLOW_ROLES for action in actions_of(role)}
    assert set(documented) == of_execution | of_workflows
