from infra.model import Owned, Service, Workload

TABLE = Owned(service=Service.DYNAMODB, actions=("dynamodb:Query", "dynamodb:PutItem"), indexes=True, writes=1, reads=2)
UPLOADS = Owned(
    service=Service.S3, name="uploads", actions=("s3:GetObject", "s3:PutObject"), variable="BUCKET", stored_kb=50
)
JOBS = Owned(service=Service.SQS, name="jobs", actions=("sqs:SendMessage",), variable="QUEUE", writes=0.5)
NEWS = Owned(service=Service.SNS, name="news", actions=("sns:Publish",), variable="TOPIC", writes=0.5)
SENDER = Owned(service=Service.SES, name="mail.example.com", actions=("ses:SendEmail",), variable="SENDER", writes=0.1)

WORKLOAD = Workload(
    name="every-service", description="shop", image_files=("app",), owns=(TABLE, UPLOADS, JOBS, NEWS, SENDER)
)
