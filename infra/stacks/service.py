"""Stateless stack of a stage: VPC, load balancer, ECS service, alarms, and the grants between them."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager

from infra import owned
from infra.boundary import BOUNDARY_NAME, GUARDDUTY_AGENT, PULL
from infra.config import DIGEST_PARAMETER, DNS_OUTPUT, REPOSITORY, WORKLOAD, own_resources
from infra.constructs.alarms import Alarms
from infra.constructs.budget import MonthlyBudget
from infra.constructs.cloudfront import CloudFrontEntrance
from infra.constructs.dashboard import Dashboard, Row, SavedQueries
from infra.constructs.fargate_service import ApiService
from infra.constructs.load_balancer import LoadBalancer
from infra.constructs.network import Network
from infra.constructs.waf import WebAcl
from infra.findings import acknowledge, wildcard_finding
from infra.model import Stage, camel_case
from infra.permissions import UNSUPPORTED
from infra.stacks.base import BaseStack

_BAKE_MINUTES, _BAKE_MINUTES_OF_OWN_METRIC = 3, 1
"""How long alarms are watched after a rollout: their period, plus the delay of the metrics. Those of the load balancer
have a period of a minute and arrive up to two minutes late, those of tasks within half a minute."""
_CPU_UNITS = 1024
"""CPU units of one vCPU, the most that a worker process can use."""


class ServiceStack(BaseStack):
    """Resources that can be deleted and recreated. They refer to resources of other stacks by name."""

    def __init__(self, scope: cdk.App, construct_id: str, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(
            scope,
            construct_id,
            stage_name=stage.name,
            termination_protection=stage.protect,
            permissions_boundary=cdk.PermissionsBoundary.from_name(BOUNDARY_NAME),
            **kwargs,
        )
        self._stage = stage
        digest = self._add_digest_parameter()
        images = self._images()
        app_logs = logs.LogGroup.from_log_group_name(self, "AppLogs", stage.app_log_group)
        network = Network(self, "Network", stage=stage)
        edge = LoadBalancer(
            self,
            # A different ID replaces all resources: a target group can't belong to both load balancers, old and new.
            "InternalEdge" if stage.behind_cloudfront else "Edge",
            stage=stage,
            network=network,
            deletion_protection=self.add_protection_parameter().value_as_string if stage.protect else "false",
        )
        alarms = Alarms(self, "Alarms", stage=stage, workload=WORKLOAD)
        own_metric = bool(stage.route_metrics and WORKLOAD.metrics_variable and WORKLOAD.counts_failures)
        api = ApiService(
            self,
            "Api",
            stage=stage,
            workload=WORKLOAD,
            network=network,
            image=ecs.ContainerImage.from_registry(images.repository_uri_for_digest(digest)),
            environment=self._environment() | {"IMAGE_DIGEST": digest},
            secrets=self._secrets(),
            log_group=app_logs,
            rollback_alarms=alarms.add_deployment_alarms(
                edge.load_balancer, failed_namespace=stage.metrics_namespace if own_metric else None
            ),
            bake_minutes=_BAKE_MINUTES_OF_OWN_METRIC if own_metric else _BAKE_MINUTES,
        )
        target_group = edge.add_target(api.service, port=WORKLOAD.port, health_path=WORKLOAD.health_path)
        api.scale(target_group)
        self._grant_own_resources(api.task_definition.task_role)
        images.grant_pull(api.execution_role)
        agent = owned.filled_in(GUARDDUTY_AGENT, self)
        api.execution_role.add_to_principal_policy(iam.PolicyStatement(actions=list(PULL), resources=[agent]))
        acknowledge(
            api.execution_role,
            {
                "IAM5[Resource::*]": UNSUPPORTED,
                wildcard_finding(self, agent): "GuardDuty's agent, in an account of AWS",
                wildcard_finding(self, app_logs.log_group_arn): "the streams of one log group",
            },
        )

        alarms.add_service_alarms(load_balancer=edge.load_balancer, target_group=target_group, service=api.service)
        alarms.add_failed_deployment_rule()
        rows = self._add_own_resources(alarms)
        SavedQueries(self, "Queries", stage=stage, queries=WORKLOAD.queries)
        if stage.web_acl:
            balancer = edge.load_balancer.load_balancer_arn
            WebAcl(self, "WebAcl", stage=stage, workload=WORKLOAD, resource_arn=balancer)
        if stage.alarm_address and stage.monthly_budget:
            MonthlyBudget(self, "Budget", stage=stage)
        base_url, host = edge.base_url, edge.load_balancer.load_balancer_dns_name
        if stage.behind_cloudfront:
            cdn = CloudFrontEntrance(self, "CloudFront", stage=stage, load_balancer=edge.load_balancer)
            cdn.node.add_dependency(network)  # AWS: a VPC origin needs an internet gateway, although no traffic uses it
            base_url, host = cdn.base_url, cdn.distribution.distribution_domain_name
        if stage.dashboard:
            Dashboard(
                self,
                "Dashboard",
                stage=stage,
                workload=WORKLOAD,
                alarms=alarms.all,
                load_balancer=edge.load_balancer,
                target_group=target_group,
                service=api.service,
                rows=rows,
            )
        cdk.CfnOutput(self, "BaseUrl", value=base_url)
        if stage.domain and not stage.domain.hosted_zone_id:
            cdk.CfnOutput(self, DNS_OUTPUT, value=f"{stage.domain.name} CNAME {host}")
        cdk.CfnOutput(self, "DeployedDigest", value=digest)

    def _add_digest_parameter(self) -> str:
        """Return the image's digest as a parameter, so that a deployment without it keeps the running image.

        Only a first deployment would use the empty default. A rule rejects it with the command to run; without a
        default, the CDK CLI would only name the missing parameter. CloudFormation evaluates rules before it changes
        anything; synth and diff still work.
        """
        digest = cdk.CfnParameter(
            self,
            DIGEST_PARAMETER,
            description="Digest of the image that the service runs",
            default="",
            allowed_pattern="(sha256:[0-9a-f]{64})?",
            constraint_description="must be the digest of an image: sha256: and 64 hexadecimal digits",
        ).value_as_string
        command = f"cdk deploy --parameters {self._stage.service_stack}:{DIGEST_PARAMETER}=sha256:..."
        no_image = f"The first deployment needs an image: run make deploy ENV={self._stage.name} or {command}"
        never = cdk.Fn.condition_equals(digest, "none")  # not allowed by the parameter's pattern
        conditions = dict.fromkeys(self._stage.missing_for_production(), never)
        conditions[no_image] = cdk.Fn.condition_not(cdk.Fn.condition_equals(digest, ""))
        cdk.CfnRule(
            self,
            "Requirements",
            assertions=[
                cdk.CfnRuleAssertion(assert_=condition, assert_description=description)
                for description, condition in conditions.items()
            ],
        )
        return digest

    def _images(self) -> ecr.IRepository:
        name = REPOSITORY
        arn = ecr.Repository.arn_for_local_repository(name, self, self._stage.registry_account)
        return ecr.Repository.from_repository_attributes(self, "Images", repository_arn=arn, repository_name=name)

    def _secrets(self) -> dict[str, ecs.Secret]:
        """Return the secrets that ECS injects as variables. CDK grants them to the execution role."""
        return {
            secret.variable: ecs.Secret.from_secrets_manager(
                secretsmanager.Secret.from_secret_name_v2(
                    self, camel_case(secret.name), self._stage.secret_name(secret)
                )
            )
            for secret in WORKLOAD.secrets_of(self._stage)
        }

    def _environment(self) -> dict[str, str]:
        """Return the application's environment variables. The stage's settings can't override the workload's."""
        stage = self._stage
        variables = dict(stage.settings) | dict(WORKLOAD.environment(stage))
        if stage.route_metrics and WORKLOAD.metrics_variable:
            variables[WORKLOAD.metrics_variable] = stage.metrics_namespace
        if stage.cpu > _CPU_UNITS:
            variables["WEB_CONCURRENCY"] = str(stage.cpu // _CPU_UNITS)
        return variables

    def _grant_own_resources(self, task_role: iam.IRole) -> None:
        for each in WORKLOAD.owns:
            if each.actions:
                arns = [owned.filled_in(arn, self) for arn in owned.arns(each, self._stage.physical_name(each))]
                task_role.add_to_principal_policy(iam.PolicyStatement(actions=list(each.actions), resources=arns))
                indexes = [wildcard_finding(self, arn) for arn in arns if arn.endswith("*")]
                acknowledge(task_role, dict.fromkeys(indexes, "the indexes of one table"))

    def _add_own_resources(self, alarms: Alarms) -> Sequence[Row]:
        own = own_resources()
        if not own:
            return ()
        before = owned.resource_paths(self)
        rows = own.add_service_resources(self, stage=self._stage, alarms=alarms)
        owned.require_owned(self, before=before, owns=WORKLOAD.owns, stage=self._stage)
        return rows
