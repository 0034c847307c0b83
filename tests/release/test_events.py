"""What a person sees of the CDK CLI's output; the lines are the CLI's own."""

from release.events import Events


def event(progress: str, status: str, kind: str, rest: str) -> str:
    """A line as the CLI prints it with --progress=events."""
    return f"CommentsService-dev | {progress:>5} | 8:24:03 AM | {status:<20} | {kind:<41} | {rest}"


BREAKER = 'Resource handler returned message: "Breaker (open)"'
LINES = [
    "CommentsService-dev: creating CloudFormation changeset...",
    event("0/55", "CREATE_IN_PROGRESS", "AWS::EC2::VPC", "Network/Vpc (NetworkVpc7FB7348F)"),
    event("1/55", "CREATE_COMPLETE", "AWS::EC2::VPC", "Network/Vpc (NetworkVpc7FB7348F)"),
    event(
        "2/55", "CREATE_COMPLETE", "AWS::EC2::SecurityGroupIngress", "Api/Group/from Edge:8000 (ApiGroupfromEdge8000)"
    ),
    event("2/55", "CREATE_FAILED", "AWS::ECS::Service", f"Api/Service (ApiService9571FDD8) {BREAKER}"),
    event(
        "2/55", "ROLLBACK_IN_PROGRESS", "AWS::CloudFormation::Stack", "CommentsService-dev The following failed: Api"
    ),
    event("1/55", "DELETE_COMPLETE", "AWS::EC2::VPC", "Network/Vpc (NetworkVpc7FB7348F)"),
    event("1/55", "DELETE_FAILED", "AWS::EC2::InternetGateway", "Network/Vpc/IGW (NetworkVpcIGW6BEA7B02) in use"),
]


def shown(lines: list[str]) -> list[str]:
    notes: list[str] = []
    events = Events(notes.append)
    for line in lines:
        events(line)
    return [" ".join(note.split()) for note in notes]


def test_resources_that_came_are_shown_by_their_path() -> None:
    assert shown(LINES)[:2] == [
        "1/55 CREATE_COMPLETE AWS::EC2::VPC Network/Vpc",
        "2/55 CREATE_COMPLETE AWS::EC2::SecurityGroupIngress Api/Group/from Edge:8000",
    ]


def test_a_failure_keeps_its_whole_reason() -> None:
    assert f"2/55 CREATE_FAILED AWS::ECS::Service Api/Service {BREAKER}" in shown(LINES)


def test_a_rollback_is_one_line_and_its_own_failures() -> None:
    assert shown(LINES)[3:] == [
        "CloudFormation rolls back",
        "1/55 DELETE_FAILED AWS::EC2::InternetGateway Network/Vpc/IGW in use",
    ]


def test_a_stack_that_needs_nothing_says_so() -> None:
    assert shown(["", " ✅  CommentsRegistry (no changes)", ""]) == ["CommentsRegistry (no changes)"]
