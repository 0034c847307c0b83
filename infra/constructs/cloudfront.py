"""CloudFront in front of an internal load balancer: HTTPS with and without a domain."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from infra.constructs import cfn_resource
from infra.constructs.load_balancer import hosted_zone
from infra.findings import acknowledge
from infra.model import Domain, Stage

VIEWER_ADDRESS_HEADER = "true-client-ip"
"""Request header that contains only the visitor's address. WAF reads the first address in a header, and visitors can
forge the first one in X-Forwarded-For."""
_ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
"""AWS: CloudFront caches these errors for 10 s by default, so a new thread would stay a 404."""
_SET_VIEWER_ADDRESS = f"""function handler(event) {{
    var request = event.request;
    request.headers['{VIEWER_ADDRESS_HEADER}'] = {{value: event.viewer.ip}};
    return request;
}}
"""


class CloudFrontEntrance(Construct):
    """Distribution with a cloudfront.net name: 1 TB and 10 million requests a month are free in each account, then
    $0.085 a GB and $1 a million requests."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, load_balancer: elbv2.IApplicationLoadBalancer
    ) -> None:
        """The VPC of the load balancer needs an internet gateway.

        The certificate of a domain must exist in us-east-1; creating it there would need another stack.
        """
        super().__init__(scope, construct_id)
        domain = stage.domain
        vpc_origin = cloudfront.VpcOrigin(
            self,
            "VpcOrigin",
            endpoint=cloudfront.VpcOriginEndpoint.application_load_balancer(load_balancer),
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTP_ONLY,
        )
        # A VPC origin can't be updated while a distribution uses it, not even its tags (aws-cdk#35765): a changed tag
        # would fail the deployment.
        cfn_resource(vpc_origin).add_property_deletion_override("Tags")
        origin = origins.VpcOrigin.with_vpc_origin(vpc_origin, domain_name=load_balancer.load_balancer_dns_name)
        viewer_address = cloudfront.FunctionAssociation(
            event_type=cloudfront.FunctionEventType.VIEWER_REQUEST,
            function=cloudfront.Function(
                self,
                "ViewerAddress",
                code=cloudfront.FunctionCode.from_inline(_SET_VIEWER_ADDRESS),
                runtime=cloudfront.FunctionRuntime.JS_2_0,
                comment=f"Overwrites {VIEWER_ADDRESS_HEADER} with the visitor's address",
            ),
        )
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=stage.service,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origin,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                # The service sends `no-cache`. A cache policy for lists could absorb a spike on one thread.
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER,
                # HSTS for a year. AWS's policy also sets X-Frame-Options and other headers, unless the service does.
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                function_associations=[viewer_address],
            ),
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0)) for status in _ERRORS
            ],
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            **self._names(domain),
        )
        self.base_url = f"https://{domain.name if domain else self.distribution.distribution_domain_name}"
        acknowledge(
            self.distribution,
            {
                "CFR1": "the service is public in all countries",
                "CFR2": "the load balancer has a web ACL; CloudFront's would have to be in us-east-1",
                "CFR3": "the service logs each request with the visitor's address",
            },
        )
        if not domain:
            acknowledge(self.distribution, {"CFR4": "cloudfront.net names don't support a minimum TLS version"})
        elif zone := hosted_zone(self, domain):
            target = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
            route53.ARecord(self, "Alias", zone=zone, record_name=domain.name, target=target)
            route53.AaaaRecord(self, "AliasIpv6", zone=zone, record_name=domain.name, target=target)

    def _names(self, domain: Domain | None) -> dict[str, Any]:
        """Return the options of a distribution that serves the domain."""
        if not domain:
            return {}
        return {
            "domain_names": [domain.name],
            "certificate": acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate_arn or ""),
            "minimum_protocol_version": cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
        }
