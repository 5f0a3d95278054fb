"""What people do with Superset: they connect it, look around, make datasets and charts of them, and ask in SQL Lab. Figures
are held against what psql answers to the same role."""

import datetime

import pytest

COUNT = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "count"}


def metric(expression: str, label: str) -> dict:
    return {"expressionType": "SQL", "sqlExpression": expression, "label": label}


def simple(aggregate: str, column: str, label: str) -> dict:
    return {"expressionType": "SIMPLE", "aggregate": aggregate, "column": {"column_name": column}, "label": label}


def by_time(column: str, grain: str) -> dict:
    return {"columnType": "BASE_AXIS", "expressionType": "SQL", "sqlExpression": column, "label": column, "timeGrain": grain}


def day(milliseconds: float) -> str:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc).date().isoformat()


def test_a_wrong_password_is_said_to_be_wrong(superset, analyst):
    wrong = analyst.description["sqlalchemy_uri"].replace(":demo@", ":nonsense@")
    refused = superset.post("database/test_connection/", 400, **{**analyst.description, "sqlalchemy_uri": wrong})
    assert refused["errors"][0]["error_type"] == "CONNECTION_INVALID_PASSWORD_ERROR", refused


def test_schemas_and_relations_are_listed(superset, analyst):
    schemas = superset.get(f"database/{analyst.id}/schemas/")["result"]
    assert {"public", "segments", "cdp", "analytics"} <= set(schemas), schemas
    listed = superset.get(f"database/{analyst.id}/tables/?q=(schema_name:public)")["result"]
    kinds = {relation["value"]: relation["type"] for relation in listed}
    assert kinds["profiles"] == kinds["events"] == "table" and kinds["segment_members"] == "view", kinds
    segments = superset.get(f"database/{analyst.id}/tables/?q=(schema_name:segments)")["result"]
    assert "big_spenders" in [relation["value"] for relation in segments]


def test_a_role_that_sees_nobody_is_shown_nobody(superset, shop):
    from conftest import Database

    officer = Database(superset, shop, "privacy_officer")
    listed = superset.get(f"database/{officer.id}/tables/?q=(schema_name:public)")["result"]
    assert "profiles" not in [relation["value"] for relation in listed]


def test_a_relation_is_described_for_sql_lab(superset, analyst):
    described = superset.get(f"database/{analyst.id}/table_metadata/?name=profiles&schema=public")
    assert described["comment"] == "one row for each person: golden values and traits"
    kinds = {column["name"]: column["type"] for column in described["columns"]}
    assert (kinds["profile_id"], kinds["birth_date"], kinds["total_spent"]) == ("BIGINT", "DATE", "NUMERIC"), kinds
    assert "profile_id" in described["selectStar"]


def test_datasets_have_columns_with_their_types(analyst):
    columns = analyst.columns("public", "profiles")
    generic = {name: columns[name]["type_generic"] for name in ["country", "orders_count", "total_spent", "birth_date"]}
    # Text, number, number, time.
    assert generic == {"country": 1, "orders_count": 0, "total_spent": 0, "birth_date": 2}, generic
    columns = analyst.columns("public", "events")
    assert columns["occurred_at"]["is_dttm"] and columns["occurred_at"]["type_generic"] == 2
    assert columns["event"]["type_generic"] == 1


def test_events_are_counted_by_day(analyst):
    rows = analyst.chart("public", "events", columns=[by_time("occurred_at", "P1D")], metrics=[COUNT])
    shown = sorted((day(row["occurred_at"]), row["count"]) for row in rows)
    told = analyst.psql("SELECT date_trunc('day', occurred_at)::date, count(*) FROM events GROUP BY 1 ORDER BY 1")
    assert shown == [(date, int(count)) for date, count in told] and len(shown) > 20


@pytest.mark.parametrize("grain", ["PT1H", "P1W", "P1M", "P3M", "P1Y"])
def test_every_grain_of_time_counts_each_event_once(analyst, grain):
    rows = analyst.chart("public", "events", columns=[by_time("occurred_at", grain)], metrics=[COUNT])
    [[total]] = analyst.psql("SELECT count(*) FROM events")
    assert sum(row["count"] for row in rows) == int(total)


def test_a_range_of_time_is_a_filter(analyst):
    [[middle]] = analyst.psql("SELECT occurred_at::date FROM events ORDER BY occurred_at OFFSET 3000 LIMIT 1")
    asked = {"col": "occurred_at", "op": "TEMPORAL_RANGE", "val": f"{middle} : "}
    [row] = analyst.chart("public", "events", columns=[], metrics=[COUNT], filters=[asked])
    assert row["count"] == int(analyst.psql(f"SELECT count(*) FROM events WHERE occurred_at >= '{middle}'")[0][0])


def test_events_are_stacked_by_kind_and_month(analyst):
    rows = analyst.chart(
        "public", "events", columns=[by_time("occurred_at", "P1M"), "event"], metrics=[COUNT],
        series_columns=["event"], series_limit=3, series_limit_metric=COUNT, orderby=[[COUNT, False]],
    )
    top = analyst.psql("SELECT event FROM events GROUP BY event ORDER BY count(*) DESC LIMIT 3")
    assert {row["event"] or "" for row in rows} == {event for (event,) in top}


def test_people_are_counted_by_country(analyst):
    rows = analyst.chart("public", "profiles", columns=["country"], metrics=[COUNT], orderby=[[COUNT, False]])
    told = analyst.psql("SELECT country, count(*) FROM profiles GROUP BY country")
    assert {(row["country"] or "", row["count"]) for row in rows} == {(country, int(count)) for country, count in told}
    assert [row["count"] for row in rows] == sorted((row["count"] for row in rows), reverse=True)


def test_averages_and_percentiles_are_those_of_psql(analyst):
    metrics = [
        simple("AVG", "total_spent", "average"),
        simple("COUNT_DISTINCT", "city", "cities"),
        metric("percentile_cont(0.9) WITHIN GROUP (ORDER BY total_spent)", "ninetieth"),
        metric("SUM(total_spent) / NULLIF(SUM(orders_count), 0)", "of an order"),
        metric("COUNT(*) FILTER (WHERE orders_count > 1)", "again"),
    ]
    rows = analyst.chart("public", "profiles", columns=["loyalty_tier"], metrics=metrics)
    told = analyst.psql(
        "SELECT loyalty_tier, avg(total_spent), count(DISTINCT city), percentile_cont(0.9) WITHIN GROUP (ORDER BY total_spent),"
        " sum(total_spent) / nullif(sum(orders_count), 0), count(*) FILTER (WHERE orders_count > 1)"
        " FROM profiles GROUP BY loyalty_tier"
    )
    shown = {row["loyalty_tier"] or "": row for row in rows}
    assert set(shown) == {tier for tier, *_ in told}
    for tier, average, cities, ninetieth, of_an_order, again in told:
        row = shown[tier]
        assert (row["cities"], row["again"]) == (int(cities), int(again))
        for label, figure in [("average", average), ("ninetieth", ninetieth), ("of an order", of_an_order)]:
            assert float(row[label]) == pytest.approx(float(figure)), (tier, label)


def test_filters_of_a_chart_are_those_of_psql(analyst):
    filters = [
        {"col": "country", "op": "IN", "val": ["DE", "PL"]},
        {"col": "total_spent", "op": ">", "val": 50},
        {"col": "email", "op": "ILIKE", "val": "%GMAIL%"},
        {"col": "city", "op": "IS NOT NULL"},
        {"col": "loyalty_tier", "op": "!=", "val": "gold"},
    ]
    extras = {"where": "orders_count BETWEEN 1 AND 100", "having": "COUNT(*) > 1"}
    rows = analyst.chart("public", "profiles", columns=["city"], metrics=[COUNT], filters=filters, extras=extras)
    told = analyst.psql(
        "SELECT city, count(*) FROM profiles WHERE country IN ('DE', 'PL') AND total_spent > 50 AND email ILIKE '%gmail%'"
        " AND city IS NOT NULL AND loyalty_tier != 'gold' AND orders_count BETWEEN 1 AND 100 GROUP BY city HAVING count(*) > 1"
    )
    assert {(row["city"], row["count"]) for row in rows} == {(city, int(count)) for city, count in told} and rows


def test_a_table_shows_rows_and_a_page_of_them(analyst):
    columns = ["profile_id", "first_name", "birth_date", "orders_count", "total_spent", "country"]
    order = [["profile_id", True]]
    rows = analyst.chart("public", "profiles", columns=columns, metrics=None, orderby=order, row_limit=10, row_offset=20)
    told = analyst.psql(f"SELECT {', '.join(columns)} FROM profiles ORDER BY profile_id LIMIT 10 OFFSET 20")
    assert [str(row["profile_id"]) for row in rows] == [row[0] for row in told]
    assert [row["first_name"] or "" for row in rows] == [row[1] for row in told]


def test_samples_and_values_for_a_filter_are_given(superset, analyst):
    dataset = analyst.dataset("public", "profiles")
    source = {"id": dataset, "type": "table"}
    asked = {"columns": [], "metrics": [], "filters": [], "orderby": [], "row_limit": 5}
    sampled = superset.post("chart/data", datasource=source, queries=[asked], result_format="json", result_type="samples")
    assert len(sampled["result"][0]["data"]) == 5
    values = superset.get(f"datasource/table/{dataset}/column/country/values/")["result"]
    told = analyst.psql("SELECT DISTINCT country FROM profiles WHERE country IS NOT NULL")
    assert {value for value in values if value} == {country for (country,) in told}


def test_sql_lab_answers_with_names_types_and_rows(analyst):
    answer = analyst.lab(
        "WITH spent AS (SELECT country, sum(total_spent) AS total, max(birth_date) AS youngest FROM profiles GROUP BY country)\n"
        "SELECT country, total, youngest, rank() OVER (ORDER BY total DESC NULLS LAST) AS place FROM spent ORDER BY place;"
    )
    kinds = {column["column_name"]: column["type"] for column in answer["columns"]}
    assert kinds == {"country": "STRING", "total": "DECIMAL", "youngest": "DATE", "place": "LONGINTEGER"}, kinds
    told = analyst.psql("SELECT country FROM profiles GROUP BY country ORDER BY sum(total_spent) DESC NULLS LAST")
    assert [row["country"] or "" for row in answer["data"]] == [country for (country,) in told]


def test_sql_lab_runs_several_statements_in_a_schema(analyst):
    answer = analyst.lab("SELECT 1 AS one; SELECT count(*) AS members FROM big_spenders", schema="segments")
    assert str(answer["data"][0]["members"]) == analyst.psql("SELECT count(*) FROM segments.big_spenders")[0][0]


def test_sql_lab_shows_what_is_wrong_in_words_of_postgresql(analyst):
    missing = analyst.lab("SELECT nope FROM profiles", 500)["errors"][0]
    assert missing["error_type"] == "COLUMN_DOES_NOT_EXIST_ERROR" and '"nope"' in missing["message"], missing
    absent = analyst.lab("SELECT 1 FROM nowhere", 500)["errors"][0]
    assert 'relation "nowhere" does not exist' in absent["message"], absent


def test_an_estimate_is_given(superset, analyst):
    asked = {"database_id": analyst.id, "sql": "SELECT count(*) FROM events"}
    estimated = superset.call("POST", "sqllab/estimate/", 200, json=asked)
    assert estimated["result"], estimated


def test_consent_holds_for_each_database(analyst, marketer, engineer):
    counts = {}
    for database in [analyst, marketer, engineer]:
        [row] = database.chart("public", "profiles", columns=[], metrics=[COUNT])
        assert str(row["count"]) == database.psql("SELECT count(*) FROM profiles")[0][0]
        assert database.lab("SELECT count(*) AS people FROM profiles")["data"] == [{"people": row["count"]}]
        counts[database.role] = row["count"]
    assert counts == {"analyst": 2243, "marketer": 3026, "engineer": 13869}
