"""The gate reads all rows of a trip id, however many. tests/faults shows that its read is consistent."""

from tests.driver import Holiday


def test_a_booked_trip_is_found_after_a_megabyte_of_other_rows(in_one_process: Holiday, trip_id: str) -> None:
    # given a booked flight whose row comes after more rows than DynamoDB returns at once
    table = in_one_process.names["FlightsTableName"]
    dynamodb = in_one_process.cloud.client("dynamodb")
    for number in range(4):
        item = row(trip_id, f"a-{number}", "cancelled") | {"depart_city": {"S": "x" * 390_000}}
        dynamodb.put_item(TableName=table, Item=item)
    dynamodb.put_item(TableName=table, Item=row(trip_id, "b", "confirmed"))
    values = {":trip": {"S": trip_id}}
    page = dynamodb.query(TableName=table, KeyConditionExpression="pk = :trip", ExpressionAttributeValues=values)
    assert "LastEvaluatedKey" in page

    # when the trip is booked again, then it is refused
    response = in_one_process.reserve({"trip_id": trip_id})
    metadata = response.json()["metadata"]
    assert (response.status_code, metadata["reason"], metadata["trip_id"]) == (409, "duplicate", trip_id)


def row(trip_id: str, booking_id: str, status: str) -> dict[str, dict[str, str]]:
    text = {"pk": trip_id, "sk": booking_id, "trip_id": trip_id, "id": booking_id, "transaction_status": status}
    return {name: {"S": value} for name, value in text.items()}
