"""DynamoDB: forwards data and table operations to Amazon's DynamoDB Local after MiniStack's permission check."""

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
from ministack import app
from ministack.services.cloudformation import drift, provisioners

from playground.server.patching import SETTINGS, Record
from playground.state import ACCOUNT, REGION, ROOT, port_from_environment

CONFIGURATION = ROOT / "playground" / "engine.xml"
START_SECONDS = 30.0
JVM = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""The engine runs for minutes, too short for the optimizing compiler to pay off."""
API = "DynamoDB_20120810"
PORT = port_from_environment("PLAYGROUND_DYNAMODB_PORT", 8000)
ENGINE_URL = f"http://127.0.0.1:{PORT}"
PLACEHOLDER_SIGNATURE = (
    f"AWS4-HMAC-SHA256 Credential=playground/20260101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)
"""The engine requires a signature but doesn't verify it. MiniStack has already verified the caller's signature."""
TIMEOUT_SECONDS = 20.0  # less than the engine's idle timeout, 30 s
NAMES_ARNS = {
    "CreateTable", "DescribeTable", "UpdateTable", "DeleteTable", "TagResource", "UntagResource", "ListTagsOfResource",
}  # fmt: skip
OUR_ARN, ENGINE_ARN = f"arn:aws:dynamodb:{REGION}:".encode(), b"arn:aws:dynamodb:ddblocal:"

CREATED_WITH = {
    "TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes",
    "DeletionProtectionEnabled", "Tags",
}  # fmt: skip
UPDATED_WITH = {"BillingMode", "DeletionProtectionEnabled"}
INDEXES = "GlobalSecondaryIndexes"
OF_INDEXES = {INDEXES, "AttributeDefinitions"}
"""Properties that change with an index, one index at a time."""
IGNORED = {"PointInTimeRecoverySpecification", "ReadOnDemandThroughputSettings", "WriteOnDemandThroughputSettings"}
"""Accepted without effect: the engine has no backups, and doesn't throttle."""
AFTERWARDS = {"TimeToLiveSpecification", "Tags"} | IGNORED
"""Properties that can also be changed."""
OF_A_REPLICA = {"Region", "DeletionProtectionEnabled", INDEXES, "Tags"} | IGNORED
COMPARED = {"TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "Replicas"}
"""Properties that drift detection compares."""


def start_engine() -> None:
    """Start the engine as a child process on loopback and wait until it listens; it exits with the server."""
    command = [
        os.environ["PLAYGROUND_JAVA"],
        *JVM,
        f"-Dplayground.{sys.argv[-1].lstrip('-')}",  # lets `down` find the engine if the server is killed
        f"-Dengine.port={PORT}",
        f"-Djava.io.tmpdir={SETTINGS.scratch}",  # a killed engine leaves a library there
        "-Djava.library.path=DynamoDBLocal_lib",
        "-Dorg.eclipse.jetty.xml.XmlParser.Validating=false",  # the schema would be fetched from the web
        "--enable-native-access=ALL-UNNAMED",
        "-classpath",
        "DynamoDBLocal.jar:DynamoDBLocal_lib/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        str(CONFIGURATION),
    ]
    with SETTINGS.engine_log_file.open("w") as log:
        engine = subprocess.Popen(
            command,
            cwd=os.environ["PLAYGROUND_EMULATOR"],
            env={"DDB_LOCAL_TELEMETRY": "0", "PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    atexit.register(engine.terminate)
    deadline = time.monotonic() + START_SECONDS
    while engine.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", PORT), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"DynamoDB's local engine did not start; see {SETTINGS.engine_log_file}")


async def handle(_method: str, _path: str, headers: Record, body: bytes, _query: Record) -> Any:
    """Forward a request to the engine."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    content = adapted(operation, body, OUR_ARN, ENGINE_ARN)
    response = await _client().post(ENGINE_URL, content=content, headers=engine_headers(operation))
    kept = {name: value for name, value in response.headers.items() if name in {"content-type", "x-amz-crc32"}}
    if operation in NAMES_ARNS:
        kept.pop("x-amz-crc32", None)
    return response.status_code, kept, adapted(operation, response.content, ENGINE_ARN, OUR_ARN)


@functools.cache
def _client() -> httpx.AsyncClient:
    """Return the client for forwarded requests, which belongs to the event loop of the AWS API."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=TIMEOUT_SECONDS)
    return httpx.AsyncClient(limits=limits, timeout=TIMEOUT_SECONDS, trust_env=False)


def adapted(operation: str, body: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the ARN prefix, since the engine uses the region `ddblocal`; leaves item operations unchanged."""
    return body.replace(old, new) if operation in NAMES_ARNS else body


def engine_headers(operation: str) -> dict[str, str]:
    return {
        "Accept-Encoding": "identity",
        "X-Amz-Target": f"{API}.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": PLACEHOLDER_SIGNATURE,
    }


def call(operation: str, request: Record) -> Record:
    """Call the engine on behalf of CloudFormation; raises ValueError with the engine's message."""
    content = json.dumps(request).encode()
    response = httpx.post(
        ENGINE_URL, content=content, headers=engine_headers(operation), timeout=TIMEOUT_SECONDS, trust_env=False
    )
    result: Record = response.json()
    if response.is_error:
        raise ValueError(f"DynamoDB rejected {operation}: {result.get('message') or result.get('Message') or result}")
    return result


def create_table(logical_id: str, properties: Record, stack: str) -> tuple[str, Record]:
    """AWS::DynamoDB::GlobalTable, the type that CDK's TableV2 synthesizes."""
    wanted = as_table(properties)
    unknown = wanted.keys() - CREATED_WITH - AFTERWARDS
    if unknown:
        raise ValueError(f"the playground does not support tables with {', '.join(sorted(unknown))}")
    name = wanted.get("TableName") or provisioners._physical_name(stack, logical_id, max_len=255)
    call("CreateTable", {key: wanted[key] for key in CREATED_WITH & wanted.keys()} | {"TableName": name})
    if ttl := wanted.get("TimeToLiveSpecification"):
        call("UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": ttl})
    return name, {"Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"}


def update_table(physical_id: str, old: Record, new: Record, _stack: str) -> tuple[str, Record]:
    old, new = as_table(old), as_table(new)
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if impossible := changed - UPDATED_WITH - AFTERWARDS - OF_INDEXES:
        raise ValueError(f"table {physical_id}: the playground cannot change {', '.join(sorted(impossible))}")
    before, after = ({each["IndexName"]: each for each in table.get(INDEXES, [])} for table in (old, new))
    for name in [name for name in before if before[name] != after.get(name)]:
        update_indexes(physical_id, {"Delete": {"IndexName": name}})
    for name in [name for name in after if before.get(name) != after[name]]:
        update_indexes(physical_id, {"Create": after[name]}, AttributeDefinitions=new["AttributeDefinitions"])
    if wanted := changed & UPDATED_WITH:
        call("UpdateTable", {"TableName": physical_id, **{key: new[key] for key in wanted if key in new}})
    if "TimeToLiveSpecification" in changed:
        ttl = new.get("TimeToLiveSpecification") or {**old["TimeToLiveSpecification"], "Enabled": False}
        call("UpdateTimeToLive", {"TableName": physical_id, "TimeToLiveSpecification": ttl})
    return physical_id, {"Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{physical_id}"}


def update_indexes(table: str, change: Record, **more: Any) -> None:
    """Create or delete an index, and wait until that is done, as CloudFormation does."""
    call("UpdateTable", {"TableName": table, "GlobalSecondaryIndexUpdates": [change], **more})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        indexes = call("DescribeTable", {"TableName": table})["Table"].get(INDEXES, [])
        if all(index["IndexStatus"] == "ACTIVE" for index in indexes):
            return
        time.sleep(0.1)
    raise ValueError(f"table {table}: its indexes did not become active within {START_SECONDS:.0f} s")


def delete_table(physical_id: str, _properties: Record) -> None:
    call("DeleteTable", {"TableName": physical_id})


def as_table(properties: Record) -> Record:
    """Convert a global table's properties to CreateTable parameters; supports only one replica, in this region."""
    replica, *others = properties["Replicas"]
    unknown = replica.keys() - OF_A_REPLICA
    if others or replica["Region"] != REGION or unknown:
        raise ValueError(f"the playground's tables have one replica, in {REGION}, and no {', '.join(sorted(unknown))}")
    table = {**replica, **properties}  # both name the indexes, but only one has their keys
    return {key: value for key, value in table.items() if key not in {"Replicas", "Region"}}


def read_table(physical_id: str, properties: Record) -> Record | None:
    """Return the table's current properties for drift detection, or None if the table doesn't exist."""
    try:
        table = call("DescribeTable", {"TableName": physical_id})["Table"]
    except ValueError as error:
        if "non-existent table" in str(error):
            return None
        raise
    replica = properties["Replicas"][0] | {"DeletionProtectionEnabled": table.get("DeletionProtectionEnabled", False)}
    billing = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    return {**table, "BillingMode": billing, "Replicas": [replica]}


def install() -> None:
    app.SERVICE_HANDLERS["dynamodb"] = handle
    handlers, table = provisioners._RESOURCE_HANDLERS, "AWS::DynamoDB::GlobalTable"
    handlers[table] = {"create": create_table, "update": update_table, "delete": delete_table}
    drift._DRIFT_READERS[table] = (read_table, frozenset(COMPARED))
    del handlers["AWS::DynamoDB::Table"]  # it would be created in MiniStack's store, which no request reaches
