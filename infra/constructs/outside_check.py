"""Route 53 health check of a stage's public address, from several continents, and its alarm."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_route53 as route53
from constructs import Construct

from infra.constructs.alarms import MINUTE, Alarms


class OutsideCheck(Construct):
    """$0.50 a month, $1 more with HTTPS, and $0.10 for the alarm.

    CloudWatch Synthetics would work in every region, but costs $10, and takes a function whose runtime needs upgrades.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, base_url: str, host: str, path: str, alarms: Alarms
    ) -> None:
        """The check requests `path` of `host` every 30 seconds. The stack must be in us-east-1, as AWS's metric is."""
        super().__init__(scope, construct_id)
        https = base_url.startswith("https:")
        check = route53.CfnHealthCheck(
            self,
            "Check",
            health_check_config={
                "type": "HTTPS" if https else "HTTP",
                "fullyQualifiedDomainName": host,
                "port": 443 if https else 80,
                "resourcePath": path,
                "requestInterval": 30,
                "failureThreshold": 3,
                **({"enableSni": True} if https else {}),
            },
            health_check_tags=[{"key": "Name", "value": name}],
        )
        alarms.add(
            "outside",
            metric=cloudwatch.Metric(
                namespace="AWS/Route53",
                metric_name="HealthCheckStatus",
                dimensions_map={"HealthCheckId": check.attr_health_check_id},
                statistic="min",
                period=MINUTE,
            ),
            threshold=1,
            periods=2,
            impact="Visitors can't connect: health checks from several continents fail.",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
