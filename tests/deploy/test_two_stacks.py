"""Two copies of the stack in one account, each with its own Restate: one disposable, one with production settings."""

import pytest

from demo import booking
from demo.cloud import HolidayCloud
from localcloud import tables
from localcloud.cloud import LocalCloud
from tests.deploy.state import addresses, deployments, stacks
from tests.expectations import TABLES

pytestmark = pytest.mark.slow

ANN = "ann-HolidayStack"


def test_two_copies_in_one_account_do_not_affect_each_other(own_cloud: HolidayCloud, elsewhere: HolidayCloud) -> None:
    # given two copies, the second with a prefix, in another Restate, with retained tables, alarms and an email address
    alarms = own_cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
    production = {"disposable": "false", "alarmTopicArn": alarms, "notificationEmail": "ann@example.com"}
    ours = own_cloud.deploy()
    anns = own_cloud.deploy({"prefix": "ann", "adminUrl": elsewhere.admin_url} | production, stack=ANN)
    assert not set(ours.values()) & set(anns.values()) - {own_cloud.ingress_url}

    # when a trip with the same id is booked in each, then each Restate calls its own copy, which writes its own rows
    for restate, names, others in ((own_cloud, ours, anns), (elsewhere, anns, ours)):
        booking.book(restate, "oslo", "success")
        assert set(deployments(restate).values()) == {arn for name, arn in names.items() if name.endswith("VersionArn")}
        assert statuses(own_cloud, names) == [["confirmed"]] * len(TABLES)
        assert names is anns or statuses(own_cloud, others) == [[]] * len(TABLES)

    # and the second one's tables are protected, its alarms notify the topic, and its notices go to the email address
    dynamodb = own_cloud.client("dynamodb")
    with pytest.raises(dynamodb.exceptions.ClientError, match="deletion protection"):
        dynamodb.delete_table(TableName=anns["FlightsTableName"])
    watched = own_cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {tuple(alarm.get("AlarmActions", [])) for alarm in watched} == {(alarms,)}
    (subscribed,) = own_cloud.client("sns").list_subscriptions_by_topic(TopicArn=anns["TopicArn"])["Subscriptions"]
    assert subscribed.get("Endpoint") == "ann@example.com"

    # and when both are destroyed, then only the second one's rows are left
    own_cloud.destroy()
    assert addresses(own_cloud, set()) == set()
    assert stacks(own_cloud) & {"HolidayStack", ANN} == {ANN}
    assert booking.book(elsewhere, "bergen", "success").status == 200
    own_cloud.destroy(ANN)
    assert addresses(elsewhere, set()) == set()
    assert statuses(own_cloud, anns) == [["confirmed"]] * len(TABLES)
    assert ours["FlightsTableName"] not in dynamodb.list_tables()["TableNames"]


def statuses(cloud: LocalCloud, names: dict[str, str]) -> list[list[str]]:
    """The statuses of the trip's rows, by table."""
    return [
        [row["transaction_status"] for row in tables.of_key(cloud.client, names[f"{table}TableName"], "oslo")]
        for table in TABLES.values()
    ]
