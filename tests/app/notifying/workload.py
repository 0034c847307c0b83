"""The workload with an identity that sends email."""

from dataclasses import replace

from infra import workload
from infra.model import Owned, Service

workload.MAIL = Owned(service=Service.SES, name="example.com", actions=("ses:SendEmail",), writes=0.1)
WORKLOAD = workload.WORKLOAD = replace(workload.WORKLOAD, owns=(workload.TABLE, workload.MAIL))
