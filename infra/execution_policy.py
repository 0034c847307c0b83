"""What CloudFormation may do for this service, as data: the policy that `cdk bootstrap` gives to its role."""

from infra.permissions import IMAGES, NAMED, Statement, arn

NAME = "comments-cdk-execution"

_NO_NAME = "AWS gives these resources ids, not names, so the kinds are named instead"
STATEMENTS = (
    Statement(
        sid="Network",
        actions=(
            "ec2:Describe*",
            "ec2:*Vpc*",
            "ec2:*Subnet*",
            "ec2:*Route*",
            "ec2:*InternetGateway",
            "ec2:*NatGateway",
            "ec2:*Address",
            "ec2:*SecurityGroup*",
            "ec2:*FlowLogs",
            "ec2:*Tags",
        ),
        resources=("*",),
        why=_NO_NAME,
    ),
    Statement(
        sid="Entrance",
        actions=(
            "elasticloadbalancing:*",
            "wafv2:*",
            "acm:*Certificate*",
            "route53:*ResourceRecordSets",
            "route53:AssociateVPCWithHostedZone",
            "route53:Get*",
            "route53:ListHostedZones",
        ),
        resources=("*",),
        why=_NO_NAME,
    ),
    Statement(
        sid="Scaling",
        actions=(
            "application-autoscaling:*",
            "ecs:CreateCluster",
            "ecs:RegisterTaskDefinition",
            "ecs:DeregisterTaskDefinition",
            "ecs:Describe*",
        ),
        resources=("*",),
        why="these calls know no resource",
    ),
    Statement(
        sid="Tasks",
        actions=("ecs:*",),
        resources=tuple(
            arn("ecs", kind)
            for kind in (
                "cluster/comments-*",
                "service/comments-*",
                "service-deployment/comments-*",
                "task-definition/comments-*",
            )
        ),
        why=NAMED,
    ),
    Statement(
        sid="State",
        actions=("dynamodb:*", "ecr:*", "secretsmanager:*", "sns:*", "events:*", "cloudwatch:*", "s3:*"),
        resources=(
            arn("dynamodb", "table/comments-*"),
            IMAGES,
            arn("secretsmanager", "secret:comments/*"),
            arn("sns", "comments-*"),
            arn("events", "rule/comments-*"),
            arn("cloudwatch", "alarm:comments-*"),
            arn("cloudwatch", "alarm:TargetTracking-service/comments-*"),
            arn("cloudwatch", "dashboard/comments-*", regional=False),
            "arn:PARTITION:s3:::comments-*",
        ),
        why=NAMED,
    ),
    Statement(
        sid="Logs",
        actions=("logs:*",),
        resources=(arn("logs", "log-group:/comments/*"), arn("logs", "log-group:aws-waf-logs-comments-*")),
        why=NAMED,
    ),
    Statement(
        sid="LogsOfTheAccount",
        actions=(
            "cloudwatch:DescribeAlarms",
            "logs:*LogDeliver*",
            "logs:*QueryDefinition*",
            "logs:*ResourcePolic*",
            "logs:Describe*",
            "secretsmanager:GetRandomPassword",
        ),
        resources=("*",),
        why="these calls know no resource",
    ),
    Statement(
        sid="Roles",
        actions=(
            "iam:*RolePolic*",
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:GetRole",
            "iam:PassRole",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ),
        resources=(arn("iam", "role/Comments*", regional=False),),
        why=NAMED,
    ),
    Statement(
        sid="RolesOfServices",
        actions=("iam:CreateServiceLinkedRole", "iam:PassRole"),
        resources=(arn("iam", "role/aws-service-role/*", regional=False),),
        why="AWS names them, and what they may do",
    ),
    Statement(
        sid="FindBootstrap",
        actions=("ssm:GetParameters",),
        resources=(arn("ssm", "parameter/cdk-bootstrap/*"),),
        why="the version that a stack asks for before it deploys",
    ),
)
