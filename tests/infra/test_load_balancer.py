from tests.infra.synthesis import DOMAIN, Templates, attributes, every, templates, the, variant


def with_domain() -> Templates:
    return variant(domain=DOMAIN)


def test_without_a_domain_the_load_balancer_serves_http() -> None:
    listener = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")


def test_with_a_domain_http_only_redirects() -> None:
    listeners = {each["Port"]: each for each in every(with_domain().service, "AWS::ElasticLoadBalancingV2::Listener")}
    (action,) = listeners[80]["DefaultActions"]
    assert action["Type"] == "redirect"
    assert (action["RedirectConfig"]["Protocol"], action["RedirectConfig"]["StatusCode"]) == ("HTTPS", "HTTP_301")


def test_with_a_domain_responses_have_an_hsts_header() -> None:
    stack = with_domain().service
    listener = the(stack, "AWS::ElasticLoadBalancingV2::Listener", {"Port": 443})
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    header = attributes(listener, "ListenerAttributes")["routing.http.response.strict_transport_security.header_value"]
    assert header == "max-age=31536000"
    certificate = the(stack, "AWS::CertificateManager::Certificate")
    assert certificate["ValidationMethod"] == "DNS"
    assert certificate["DomainValidationOptions"] == [
        {"DomainName": DOMAIN.name, "HostedZoneId": DOMAIN.hosted_zone_id}
    ]
    assert the(stack, "AWS::Route53::RecordSet")["Name"] == "comments.example.com."
    assert stack.find_outputs("BaseUrl")["BaseUrl"]["Value"] == "https://comments.example.com"


def test_every_request_leaves_an_access_log() -> None:
    balancer = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    set_ = attributes(balancer, "LoadBalancerAttributes")
    assert set_["access_logs.s3.enabled"] == "true"
    assert set_["access_logs.s3.prefix"] == "alb"
    assert "comments-dev-logs-" in str(set_["access_logs.s3.bucket"])
    assert set_["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_a_task_is_healthy_after_ten_seconds_and_survives_two_slow_checks() -> None:
    group = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert (group["HealthCheckIntervalSeconds"], group["HealthCheckTimeoutSeconds"]) == (5, 4)
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (2, 5)
    assert (group["HealthCheckPath"], group["Matcher"]) == ("/healthz", {"HttpCode": "200"})
    assert attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"] == "15"
