"""Application Load Balancer with access logs, TLS if there is a domain, and the target group of the service."""

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from infra.constructs.network import Network
from infra.findings import acknowledge
from infra.model import Domain, Stage

IDLE_TIMEOUT = cdk.Duration.seconds(60)
"""Shorter than gunicorn's keepalive: if gunicorn closed an idle connection first, a request could fail with 502."""
DRAIN = cdk.Duration.seconds(15)
"""Time for in-flight requests to finish when a task is removed. Even slow requests take a fraction of that."""
ACCESS_LOG_PREFIX = "alb"
_HSTS = "max-age=31536000"
"""A year, as in CloudFront's managed policy."""
_REDIRECT = elbv2.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True)


class LoadBalancer(Construct):
    """Application Load Balancer: $16 a month plus traffic, and $3.65 for each of two addresses if it is public."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, network: Network, deletion_protection: str
    ) -> None:
        """Behind CloudFront, it is internal: only the VPC and a VPC origin can connect, and the domain is CloudFront's.

        `deletion_protection` is "true", "false" or a reference to a parameter.
        """
        super().__init__(scope, construct_id)
        internal = stage.behind_cloudfront
        domain = None if internal else stage.domain
        stack = cdk.Stack.of(self)
        self.load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=network.vpc,
            vpc_subnets=network.load_balancer_subnets,
            internet_facing=not internal,
            idle_timeout=IDLE_TIMEOUT,
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elbv2.DesyncMitigationMode.STRICTEST,
        )
        self.load_balancer.set_attribute("deletion_protection.enabled", deletion_protection)
        # log_access_logs() requires a region at synthesis, so the attributes are set directly.
        bucket = stage.log_bucket(account=stack.account, region=stack.region)
        for name, value in (("enabled", "true"), ("bucket", bucket), ("prefix", ACCESS_LOG_PREFIX)):
            self.load_balancer.set_attribute(f"access_logs.s3.{name}", value)
        # Requests of a VPC origin have CloudFront's public addresses, so an internal one accepts all addresses, too.
        why = "only the VPC and CloudFront have a route to it" if internal else "a public API accepts all connections"
        for security_group in self.load_balancer.connections.security_groups:
            acknowledge(security_group, {"EC23": why})
        # The same resource with and without a domain: when a stage gets one, CloudFormation could not create a second
        # listener on port 80 before it deletes this one.
        action = _REDIRECT if domain else None
        http = self.load_balancer.add_listener("Http", port=80, open=True, default_action=action)
        if domain is None:
            self.listener = http
            self.base_url = f"http://{self.load_balancer.load_balancer_dns_name}"
        else:
            self.listener = self._add_https(domain)
            self.base_url = f"https://{domain.name}"
            http.node.add_dependency(self.listener)  # don't redirect before HTTPS works

    def _add_https(self, domain: Domain) -> elbv2.ApplicationListener:
        zone = hosted_zone(self, domain)
        listener = self.load_balancer.add_listener(
            "Https",
            port=443,
            open=True,
            certificates=[self._certificate(domain, zone)],
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
        )
        listener.set_attribute("routing.http.response.strict_transport_security.header_value", _HSTS)
        if zone:
            target = route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.load_balancer))
            route53.ARecord(self, "Alias", zone=zone, record_name=domain.name, target=target)
        return listener

    def _certificate(self, domain: Domain, zone: route53.IHostedZone | None) -> acm.ICertificate:
        if domain.certificate_arn:
            return acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate_arn)
        validation = acm.CertificateValidation.from_dns(zone)
        return acm.Certificate(self, "Certificate", domain_name=domain.name, validation=validation)

    def add_target(self, service: ecs.FargateService, *, port: int, health_path: str) -> elbv2.ApplicationTargetGroup:
        """Forward all requests to the service, and allow connections from the load balancer to it.

        A new task is healthy after its first check that succeeds (AWS: the threshold only counts for one that failed
        before). A task is only removed after five failed checks: a task under load may fail two, and removing it would
        overload the others.
        """
        target_group = elbv2.ApplicationTargetGroup(
            self,
            "Target",  # not part of a listener, so that tasks stay registered when a stage gets a domain
            vpc=self.load_balancer.vpc,
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[service],
            deregistration_delay=DRAIN,
            health_check=elbv2.HealthCheck(
                path=health_path,
                healthy_http_codes="200",
                interval=cdk.Duration.seconds(5),
                timeout=cdk.Duration.seconds(4),
                healthy_threshold_count=2,
                unhealthy_threshold_count=5,
            ),
        )
        self.listener.add_target_groups("Api", target_groups=[target_group])
        return target_group


def hosted_zone(scope: Construct, domain: Domain) -> route53.IHostedZone | None:
    """Return the zone of a domain; None if its DNS is not in Route 53."""
    if not (domain.hosted_zone_id and domain.zone_name):
        return None
    return route53.HostedZone.from_hosted_zone_attributes(
        scope, "Zone", hosted_zone_id=domain.hosted_zone_id, zone_name=domain.zone_name
    )
