from dataclasses import replace

from tests.infra.synthesis import CERTIFICATE, DOMAIN, EXISTING_VPC, TLS, attributes, every, templates, the

LISTENER = "AWS::ElasticLoadBalancingV2::Listener"


def test_with_a_domain_it_serves_https_with_hsts_and_http_only_redirects() -> None:
    service = templates(TLS).service
    listeners = {each["Port"]: each for each in every(service, LISTENER)}
    (action,) = listeners[80]["DefaultActions"]
    assert action["Type"] == "redirect"
    assert (action["RedirectConfig"]["Protocol"], action["RedirectConfig"]["StatusCode"]) == ("HTTPS", "HTTP_301")
    assert listeners[443]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    headers = attributes(listeners[443], "ListenerAttributes")
    assert headers["routing.http.response.strict_transport_security.header_value"] == "max-age=31536000"
    (validation,) = the(service, "AWS::CertificateManager::Certificate")["DomainValidationOptions"]
    assert validation == {"DomainName": DOMAIN.name, "HostedZoneId": DOMAIN.hosted_zone_id}
    assert the(service, "AWS::Route53::RecordSet")["Name"] == "notes.example.com."
    assert service.find_outputs("BaseUrl")["BaseUrl"]["Value"] == "https://notes.example.com"
    plain = templates("dev").service.find_outputs("BaseUrl")["BaseUrl"]["Value"]
    assert plain["Fn::Join"][1][0] == "http://"


def test_with_a_certificate_none_is_created_and_an_output_is_the_record_to_create_elsewhere() -> None:
    service = templates(EXISTING_VPC).service
    (https,) = (each for each in every(service, LISTENER) if each["Port"] == 443)
    assert https["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    for kind in ("AWS::CertificateManager::Certificate", "AWS::Route53::RecordSet"):
        service.resource_count_is(kind, 0)
    (balancer,) = service.find_resources("AWS::ElasticLoadBalancingV2::LoadBalancer")
    record = ["notes.example.com CNAME ", {"Fn::GetAtt": [balancer, "DNSName"]}]
    assert service.find_outputs("DnsRecord")["DnsRecord"]["Value"] == {"Fn::Join": ["", record]}
    assert service.find_outputs("BaseUrl")["BaseUrl"]["Value"] == "https://notes.example.com"
    with_zone = templates(TLS, domain=replace(DOMAIN, certificate_arn=CERTIFICATE)).service
    with_zone.resource_count_is("AWS::CertificateManager::Certificate", 0)
    assert the(with_zone, "AWS::Route53::RecordSet")["Name"] == "notes.example.com."
    assert with_zone.find_outputs("DnsRecord") == {}


def test_a_stage_can_get_a_domain_later() -> None:
    """Two listeners can't share a port, so a new one for port 80 would make the deployment fail."""
    before, after = (each.service for each in (templates(), templates(domain=DOMAIN)))
    on_port_80 = [each.find_resources(LISTENER, {"Properties": {"Port": 80}}).keys() for each in (before, after)]
    assert on_port_80[0] == on_port_80[1]
    kind = "AWS::ElasticLoadBalancingV2::TargetGroup"
    assert before.find_resources(kind) == after.find_resources(kind)
    (https,) = after.find_resources(LISTENER, {"Properties": {"Port": 443}})
    (http,) = after.find_resources(LISTENER, {"Properties": {"Port": 80}}).values()
    assert https in http["DependsOn"], "visitors are redirected once HTTPS works"


def test_every_request_leaves_an_access_log_and_prod_is_protected_from_deletion() -> None:
    template = templates("prod").service
    template.has_parameter("DeletionProtection", {"Default": "true"})
    balancer = the(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    found = attributes(balancer, "LoadBalancerAttributes")
    assert "notes-prod-logs-" in str(found["access_logs.s3.bucket"])
    assert found == found | {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.prefix": "alb",
        "deletion_protection.enabled": {"Ref": "DeletionProtection"},
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }
