"""AWS's list prices in us-east-1, each with the page that names it; nothing else in the project knows a price."""

from dataclasses import dataclass

AS_OF = "2026-03"
"""When these were last compared with published prices; AWS changes them rarely, and mostly downwards."""
REGION = "us-east-1"
HOURS = 730
"""A month, as AWS's own calculator has it."""


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
_EC2 = "aws.amazon.com/ec2/pricing/on-demand"

BALANCER = Price(0.0225, "hour", _ELB)
BALANCER_UNIT = Price(0.008, "LCU-hour", _ELB)
IPV4 = Price(0.005, "address-hour", _VPC)
NAT = Price(0.045, "hour", _VPC)
NAT_DATA = Price(0.045, "GB", _VPC)
ENDPOINT = Price(0.01, "zone-hour", _LINK)
ENDPOINT_DATA = Price(0.01, "GB", _LINK)
DATA_OUT = Price(0.09, "GB", _EC2)

VCPU = Price(0.04048, "vCPU-hour", _FARGATE)
MEMORY = Price(0.004445, "GB-hour", _FARGATE)
VCPU_ARM = Price(0.03238, "vCPU-hour", _FARGATE)
MEMORY_ARM = Price(0.00356, "GB-hour", _FARGATE)
SPOT_DISCOUNT = 0.70
"""Fargate Spot follows supply and demand; AWS says up to 70 %, which it has been close to for years."""

WEB_ACL = Price(5.0, "web ACL", _WAF)
WEB_ACL_RULE = Price(1.0, "rule", _WAF)
WEB_ACL_REQUESTS = Price(0.60, "million requests", _WAF)

METRIC = Price(0.30, "metric", _CLOUDWATCH)
ALARM = Price(0.10, "alarm metric", _CLOUDWATCH)
ALARM_OF_SECONDS = Price(0.30, "high-resolution alarm metric", _CLOUDWATCH)
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
    "AWS::ApplicationAutoScaling::ScalableTarget": "only its alarms cost",
    "AWS::CertificateManager::Certificate": "public certificates are free",
    "AWS::EC2::FlowLog": "only what it writes costs, in its log group",
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
    "AWS::ElasticLoadBalancingV2::Listener": "counted in the balancer's LCU",
    "AWS::ElasticLoadBalancingV2::ListenerRule": "counted in the balancer's LCU",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "free",
    "AWS::Events::Rule": "AWS's own events are free",
    "AWS::IAM::ManagedPolicy": "free",
    "AWS::IAM::OIDCProvider": "free",
    "AWS::IAM::Policy": "free",
    "AWS::IAM::Role": "free",
    "AWS::Logs::QueryDefinition": "only running it costs, $0.005 a GB read",
    "AWS::Route53::RecordSet": "an alias to a balancer is free; the zone, $0.50, is not of this stage",
    "AWS::S3::BucketPolicy": "free",
    "AWS::SNS::Subscription": "free",
    "AWS::SNS::Topic": "the first 1,000 emails of a month are free",
    "AWS::SNS::TopicPolicy": "free",
    "AWS::WAFv2::LoggingConfiguration": "only what it writes costs, in its log group",
    "AWS::WAFv2::WebACLAssociation": "free",
}
"""Resource types that cost nothing themselves, each with the reason; a type that is nowhere listed is an error."""
