from pathlib import Path

import pytest

from infra.guard import NoRulesError, findings, rules
from infra.stages import STAGES

RULE = """
let tables = Resources.*[ Type == "AWS::DynamoDB::Table" ]

rule every_table_is_called_threads when %tables !empty {
    %tables.Properties.TableName == "threads"
}
"""


def test_what_a_rule_asks_for_is_reported_once_for_each_resource(tmp_path: Path) -> None:
    (tmp_path / "names.guard").write_text(RULE)
    assert findings(STAGES["dev"], rules(tmp_path)) == [
        ("every_table_is_called_threads", "CommentsFoundation-dev/Comments")
    ]


def test_without_rules_there_is_no_report_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoRulesError, match="run `make setup`"):
        rules(tmp_path)
