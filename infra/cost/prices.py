"""AWS list prices in us-east-1, each with its source."""

from dataclasses import dataclass

AS_OF = "2026-03"
"""Month of the last comparison with the published prices."""
REGION = "us-east-1"
HOURS = 730
"""Hours in a month, as in AWS's pricing calculator."""


@dataclass(frozen=True)
class Price:
    """US dollars for one unit."""

    amount: float
    unit: str
    page: str
    """Source, below aws.amazon.com."""


LOAD_BALANCER = Price(0.0225, "hour", "elasticloadbalancing/pricing")
LOAD_BALANCER_UNIT = Price(0.008, "LCU-hour", "elasticloadbalancing/pricing")
IPV4 = Price(0.005, "address-hour", "vpc/pricing")
NAT = Price(0.045, "hour", "vpc/pricing")
NAT_DATA = Price(0.045, "GB", "vpc/pricing")
ENDPOINT = Price(0.01, "zone-hour", "privatelink/pricing")
ENDPOINT_DATA = Price(0.01, "GB", "privatelink/pricing")
DATA_OUT = Price(0.09, "GB", "ec2/pricing/on-demand")

CLOUDFRONT_OUT = Price(0.085, "GB beyond 1 TB", "cloudfront/pricing")
CLOUDFRONT_REQUESTS = Price(1.0, "million beyond 10 million", "cloudfront/pricing")
CLOUDFRONT_FUNCTIONS = Price(0.10, "million beyond 2 million", "cloudfront/pricing")
CLOUDFRONT_FREE_GB = 1000.0
CLOUDFRONT_FREE_MILLIONS = 10.0
CLOUDFRONT_FREE_FUNCTION_MILLIONS = 2.0
"""Monthly free tier of an account, which doesn't expire. Other free tiers are ignored."""

VCPU = Price(0.04048, "vCPU-hour", "fargate/pricing")
MEMORY = Price(0.004445, "GB-hour", "fargate/pricing")
VCPU_ARM = Price(0.03238, "vCPU-hour", "fargate/pricing")
MEMORY_ARM = Price(0.00356, "GB-hour", "fargate/pricing")

WEB_ACL = Price(5.0, "web ACL", "waf/pricing")
WEB_ACL_RULE = Price(1.0, "rule", "waf/pricing")
WEB_ACL_REQUESTS = Price(0.60, "million requests", "waf/pricing")

METRIC = Price(0.30, "metric", "cloudwatch/pricing")
ALARM = Price(0.10, "alarm metric", "cloudwatch/pricing")
HIGH_RESOLUTION_ALARM = Price(0.30, "high-resolution alarm metric", "cloudwatch/pricing")
DASHBOARD = Price(3.0, "dashboard", "cloudwatch/pricing")
LOGS = Price(0.50, "GB", "cloudwatch/pricing")
LOGS_KEPT = Price(0.03, "GB-month", "cloudwatch/pricing")

WRITES = Price(0.625, "million units", "dynamodb/pricing/on-demand")
READS = Price(0.125, "million units", "dynamodb/pricing/on-demand")
TABLE_STORAGE = Price(0.25, "GB-month", "dynamodb/pricing/on-demand")
TABLE_RECOVERY = Price(0.20, "GB-month", "dynamodb/pricing/on-demand")

OBJECTS_PUT = Price(0.005, "thousand puts", "s3/pricing")
OBJECTS_KEPT = Price(0.023, "GB-month", "s3/pricing")
EMAILS = Price(0.10, "thousand emails", "ses/pricing")
SECRET = Price(0.40, "secret", "secrets-manager/pricing")
IMAGES_KEPT = Price(0.10, "GB-month", "ecr/pricing")

NOT_PRICED = Price(0, "unknown unit", "pricing")
"""Of a type that is neither in infra/cost/bill.py nor in FREE."""

FREE = frozenset(
    f"AWS::{each}"
    for each in (
        *("Budgets::Budget", "CertificateManager::Certificate", "CloudFront::VpcOrigin"),
        *("EC2::InternetGateway", "EC2::Route", "EC2::RouteTable", "EC2::SecurityGroup", "EC2::SecurityGroupEgress"),
        *("EC2::SecurityGroupIngress", "EC2::Subnet", "EC2::SubnetRouteTableAssociation", "EC2::VPC"),
        *("EC2::VPCGatewayAttachment", "ECS::Cluster", "ECS::ClusterCapacityProviderAssociations"),
        *("ElasticLoadBalancingV2::TargetGroup", "IAM::ManagedPolicy", "IAM::OIDCProvider", "IAM::Policy", "IAM::Role"),
        *("S3::BucketPolicy", "SNS::Subscription", "SNS::TopicPolicy", "WAFv2::WebACLAssociation"),
        "SNS::Topic",  # of alarms: the first 1,000 emails of a month are free
        "Events::Rule",  # of AWS services' events
        "Route53::RecordSet",  # an alias; the zone ($0.50) doesn't belong to the stage
        "Logs::QueryDefinition",  # until it runs, then $0.005 a GB
        # Billed with another type: load balancer, distribution, alarms, log groups.
        *("ElasticLoadBalancingV2::Listener", "ElasticLoadBalancingV2::ListenerRule", "CloudFront::Function"),
        *("ApplicationAutoScaling::ScalableTarget", "EC2::FlowLog", "WAFv2::LoggingConfiguration"),
    )
)
"""Resource types that are free, or billed with another type."""
