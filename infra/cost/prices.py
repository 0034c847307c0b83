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
    source: str


_ELB = "aws.amazon.com/elasticloadbalancing/pricing"
_VPC = "aws.amazon.com/vpc/pricing"
_LINK = "aws.amazon.com/privatelink/pricing"
_FARGATE = "aws.amazon.com/fargate/pricing"
_WAF = "aws.amazon.com/waf/pricing"
_CLOUDWATCH = "aws.amazon.com/cloudwatch/pricing"
_DYNAMODB = "aws.amazon.com/dynamodb/pricing/on-demand"
_S3 = "aws.amazon.com/s3/pricing"
_CLOUDFRONT = "aws.amazon.com/cloudfront/pricing"
_EC2 = "aws.amazon.com/ec2/pricing/on-demand"

LOAD_BALANCER = Price(0.0225, "hour", _ELB)
LOAD_BALANCER_UNIT = Price(0.008, "LCU-hour", _ELB)
IPV4 = Price(0.005, "address-hour", _VPC)
NAT = Price(0.045, "hour", _VPC)
NAT_DATA = Price(0.045, "GB", _VPC)
ENDPOINT = Price(0.01, "zone-hour", _LINK)
ENDPOINT_DATA = Price(0.01, "GB", _LINK)
DATA_OUT = Price(0.09, "GB", _EC2)

CLOUDFRONT_OUT = Price(0.085, "GB beyond 1 TB", _CLOUDFRONT)
CLOUDFRONT_REQUESTS = Price(1.0, "million beyond 10 million", _CLOUDFRONT)
CLOUDFRONT_FUNCTIONS = Price(0.10, "million beyond 2 million", _CLOUDFRONT)
CLOUDFRONT_FREE_GB = 1000.0
CLOUDFRONT_FREE_MILLIONS = 10.0
CLOUDFRONT_FREE_FUNCTION_MILLIONS = 2.0
"""Monthly free tier of an account, which doesn't expire. Other free tiers are ignored."""

VCPU = Price(0.04048, "vCPU-hour", _FARGATE)
MEMORY = Price(0.004445, "GB-hour", _FARGATE)
VCPU_ARM = Price(0.03238, "vCPU-hour", _FARGATE)
MEMORY_ARM = Price(0.00356, "GB-hour", _FARGATE)
SPOT_DISCOUNT = 0.70
"""AWS: up to 70%, depending on supply and demand."""

WEB_ACL = Price(5.0, "web ACL", _WAF)
WEB_ACL_RULE = Price(1.0, "rule", _WAF)
WEB_ACL_REQUESTS = Price(0.60, "million requests", _WAF)

METRIC = Price(0.30, "metric", _CLOUDWATCH)
ALARM = Price(0.10, "alarm metric", _CLOUDWATCH)
HIGH_RESOLUTION_ALARM = Price(0.30, "high-resolution alarm metric", _CLOUDWATCH)
DASHBOARD = Price(3.0, "dashboard", _CLOUDWATCH)
LOGS = Price(0.50, "GB", _CLOUDWATCH)
LOGS_KEPT = Price(0.03, "GB-month", _CLOUDWATCH)

WRITES = Price(0.625, "million units", _DYNAMODB)
READS = Price(0.125, "million units", _DYNAMODB)
TABLE_STORAGE = Price(0.25, "GB-month", _DYNAMODB)
TABLE_RECOVERY = Price(0.20, "GB-month", _DYNAMODB)

OBJECTS_PUT = Price(0.005, "thousand puts", _S3)
OBJECTS_KEPT = Price(0.023, "GB-month", _S3)
SECRET = Price(0.40, "secret", "aws.amazon.com/secrets-manager/pricing")
IMAGES_KEPT = Price(0.10, "GB-month", "aws.amazon.com/ecr/pricing")

FREE = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "only its alarms are billed",
    "AWS::Budgets::Budget": "budgets without actions are free",
    "AWS::CertificateManager::Certificate": "public certificates are free",
    "AWS::CloudFront::Function": "billed with its distribution",
    "AWS::CloudFront::VpcOrigin": "free",
    "AWS::EC2::FlowLog": "billed as its log group",
    "AWS::EC2::InternetGateway": "free",
    "AWS::EC2::Route": "free",
    "AWS::EC2::RouteTable": "free",
    "AWS::EC2::SecurityGroup": "free",
    "AWS::EC2::SecurityGroupEgress": "free",
    "AWS::EC2::SecurityGroupIngress": "free",
    "AWS::EC2::Subnet": "free",
    "AWS::EC2::SubnetRouteTableAssociation": "free",
    "AWS::EC2::VPC": "free",
    "AWS::EC2::VPCGatewayAttachment": "free",
    "AWS::ECS::ClusterCapacityProviderAssociations": "free",
    "AWS::ElasticLoadBalancingV2::Listener": "part of the load balancer's LCU",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "part of the load balancer's LCU",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "free",
    "AWS::Events::Rule": "events of AWS services are free",
    "AWS::IAM::ManagedPolicy": "free",
    "AWS::IAM::OIDCProvider": "free",
    "AWS::IAM::Policy": "free",
    "AWS::IAM::Role": "free",
    "AWS::Logs::QueryDefinition": "billed when it runs, $0.005 a GB read",
    "AWS::Route53::RecordSet": "aliases are free; the hosted zone ($0.50) doesn't belong to the stage",
    "AWS::S3::BucketPolicy": "free",
    "AWS::SNS::Subscription": "free",
    "AWS::SNS::Topic": "the first 1,000 emails of a month are free",
    "AWS::SNS::TopicPolicy": "free",
    "AWS::WAFv2::LoggingConfiguration": "billed as its log group",
    "AWS::WAFv2::WebACLAssociation": "free",
}
"""Resource types that are free, each with the reason."""
