"""The public entrance: the load balancer, TLS when the stage has a domain, and the web ACL in front."""

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from infra.base import acknowledge
from infra.options import Domain

IDLE_TIMEOUT = cdk.Duration.seconds(60)
"""Less than the server's keepalive: whoever closes an idle connection first must be the balancer."""
HSTS = "max-age=31536000"


class Edge(Construct):
    """The load balancer and its listeners: $16 a month, $3.65 for each of its two addresses, and traffic."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        domain: Domain | None,
        protect: bool,
        log_bucket_name: str,
        log_prefix: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            internet_facing=True,
            idle_timeout=IDLE_TIMEOUT,
            drop_invalid_header_fields=True,
            deletion_protection=protect,
        )
        # Attributes, since log_access_logs() wants to know the region at synthesis.
        for name, value in (("enabled", "true"), ("bucket", log_bucket_name), ("prefix", log_prefix)):
            self.load_balancer.set_attribute(f"access_logs.s3.{name}", value)
        self.load_balancer.set_attribute("routing.http.desync_mitigation_mode", "strictest")
        open_to_all = "a public API: connections from everywhere are the product"
        for security_group in self.load_balancer.connections.security_groups:
            acknowledge(security_group, {"AwsSolutions-EC23": open_to_all, "CKV_AWS_260": open_to_all})
        if not protect:
            acknowledge(self.load_balancer, {"CKV_AWS_150": "this stage is meant to be destroyed"})
        if domain is None:
            self.listener = self._plain()
            self.base_url = f"http://{self.load_balancer.load_balancer_dns_name}"
        else:
            self.listener = self._tls(domain)
            self.base_url = f"https://{domain.name}"

    def _plain(self) -> elbv2.ApplicationListener:
        listener = self.load_balancer.add_listener("Http", port=80, protocol=elbv2.ApplicationProtocol.HTTP, open=True)
        reason = "this stage has no domain, and no certificate is issued without one"
        acknowledge(listener, {"CKV_AWS_2": reason, "CKV_AWS_103": reason})
        return listener

    def _tls(self, domain: Domain) -> elbv2.ApplicationListener:
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=domain.hosted_zone_id, zone_name=domain.zone_name
        )
        certificate = acm.Certificate(
            self, "Certificate", domain_name=domain.name, validation=acm.CertificateValidation.from_dns(zone)
        )
        listener = self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            certificates=[certificate],
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
            open=True,
        )
        listener.set_attribute("routing.http.response.strict_transport_security.header_value", HSTS)
        redirect = self.load_balancer.add_redirect()
        reason = "it only redirects to HTTPS"
        acknowledge(redirect, {"CKV_AWS_2": reason, "CKV_AWS_103": reason})
        route53.ARecord(
            self,
            "Alias",
            zone=zone,
            record_name=domain.name,
            target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.load_balancer)),
        )
        return listener
