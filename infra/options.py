"""What a stage chooses between: rollout, egress, processor, severity, domain; each choice with its reason and price."""

import platform
from dataclasses import dataclass
from enum import Enum


class Rollout(Enum):
    """How a new image takes over."""

    ROLLING = "rolling"
    """New tasks beside the old ones, then the old ones drain. The circuit breaker and the alarms roll it back."""
    CANARY = "canary"
    """Experimental: a tenth of the requests first, the rest if the alarms stay quiet.

    ECS rewrites the weights of the listener's rule while it shifts, and CloudFormation puts back what the template says
    whenever the rule changes (aws-cdk#36649): `make diff` and `make deploy` refuse such a change. It scales on CPU
    only, since requests per target are counted for one target group. The playground has no canary.
    """


class Egress(Enum):
    """How a task reaches AWS, with what that costs a month in us-east-1."""

    PUBLIC_IP = "public-ip"
    """A public address per task, $3.65 each. Only the balancer's security group may connect to a task."""
    ENDPOINTS = "endpoints"
    """Four interface endpoints in each of two zones, $58.40 and $0.01 a GB: no route to the internet at all."""
    NAT = "nat"
    """A NAT gateway and its address in each of two zones, $73.00 and $0.045 a GB."""


class Architecture(Enum):
    """The processor that tasks run on and the image is built for; stages that share a digest must share it."""

    X86_64 = "linux/amd64"
    ARM64 = "linux/arm64"
    """A fifth cheaper than x86 on Fargate; needs a build machine of the same kind, or emulation."""

    @classmethod
    def of_this_machine(cls) -> "Architecture":
        return cls.ARM64 if platform.machine().lower() in {"arm64", "aarch64"} else cls.X86_64


class Severity(Enum):
    """How bad a finding of ECR's scan is, the worst first, in ECR's words."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A public name for the service; without one it speaks HTTP at the balancer's own name."""

    name: str
    """Such as comments.example.com."""
    hosted_zone_id: str
    """Of the Route 53 zone that holds the name; given here since a synthesis looks nothing up."""
    zone_name: str
    """Such as example.com."""
