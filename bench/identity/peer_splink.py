"""Runs Splink 5 on one data set, and prints its figures as one line of JSON: `peer_splink.py NAME RECORDS`.

Settings are those that Splink's documentation shows for Febrl, and for people what an expert would set: one comparison of
the whole name, one of the address, values of several people left out, no blocking rule that fetches whole households.
"""

import json
import logging
import resource
import sys
import time

import duckdb
import numpy as np
import splink.comparison_level_library as levels
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THREADS = 2
PREDICT_FLOOR = 0.01
"""Pairs below this probability are not kept."""
DEFAULT_PROBABILITY = 0.5

PERSON_MACROS = r"""
create macro fold(s) as lower(translate(strip_accents(s), 'łŁ', 'll'));
create macro mailbox(e) as (case when split_part(lower(trim(e)), '@', 2) in ('gmail.com', 'googlemail.com')
    then replace(split_part(split_part(lower(trim(e)), '@', 1), '+', 1), '.', '') || '@gmail.com'
    else split_part(split_part(lower(trim(e)), '@', 1), '+', 1) || '@' || split_part(lower(trim(e)), '@', 2) end);
create macro number(p, c) as (case when p is null then null when c = 'US'
    then right('0000' || regexp_replace(p, '[^0-9]', '', 'g'), 10) else right('0000' || regexp_replace(p, '[^0-9]', '', 'g'), 9) end);
create macro short_street(s) as trim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
    regexp_replace(fold(s), '^ul\. ?', ''), '\bstreet\b', 'st'), '\bavenue\b', 'ave'), '\broad\b', 'rd'), '\blane\b', 'ln'),
    '\bdrive\b', 'dr'), '\bcourt\b', 'ct'), '( apt [0-9]+|/[0-9]+)$', ''));
"""


class Task:
    """What is linked: tables, settings, rules for the prior with the recall that is guessed, training blocks."""

    def __init__(self, tables, settings, deterministic, recall, u_pairs, training):
        self.tables, self.settings = tables, settings
        self.deterministic, self.recall, self.u_pairs, self.training = deterministic, recall, u_pairs, training


def settings(link_type, blocking, comparisons):
    return SettingsCreator(unique_id_column_name="record_id", link_type=link_type, blocking_rules_to_generate_predictions=blocking,
                           comparisons=comparisons)


def febrl3(connection):
    blocking = [block_on(column) for column in ("soc_sec_id", "given_name", "surname", "date_of_birth", "postcode")]
    comparisons = [
        compare.NameComparison("given_name"), compare.NameComparison("surname"),
        compare.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
        compare.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
        compare.ExactMatch("street_number").configure(term_frequency_adjustments=True),
        compare.ExactMatch("postcode").configure(term_frequency_adjustments=True)]
    swapped = "l.given_name = r.surname and l.surname = r.given_name and l.date_of_birth = r.date_of_birth"
    deterministic = [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth"), swapped]
    return Task([connection.sql("select * from records")], settings("dedupe_only", blocking, comparisons), deterministic, 0.9, 1e6,
                [(block_on("date_of_birth"), False), (block_on("postcode"), False)])


def febrl4(connection):
    blocking = [block_on("given_name", "surname"), "l.given_name = r.surname and l.surname = r.given_name", block_on("date_of_birth"),
                block_on("soc_sec_id"), block_on("state", "address_1"), block_on("street_number", "address_1"), block_on("postcode")]
    comparisons = [
        compare.NameComparison("given_name").configure(term_frequency_adjustments=True),
        compare.NameComparison("surname").configure(term_frequency_adjustments=True),
        compare.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True),
        compare.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
        compare.ExactMatch("street_number").configure(term_frequency_adjustments=True),
        compare.DamerauLevenshteinAtThresholds("postcode", [1, 2]).configure(term_frequency_adjustments=True)]
    tables = [connection.sql(f"select * from records where source = 'dataset4{table}'") for table in "ab"]
    return Task(tables, settings("link_only", blocking, comparisons),
                [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")], 0.8, 1e6,
                [(block_on("date_of_birth"), True), (block_on("postcode"), True)])


def rldata10000(connection):
    connection.execute('create table people as select record_id, truth, lower(first_name) first_name, lower(surname) surname, dob, '
                       '"by"::int birth_year, bm::int bm, bd::int bd from records')
    blocking = [block_on("first_name", "surname"), block_on("surname", "birth_year"), block_on("first_name", "birth_year"), block_on("dob"),
                block_on("surname", "bm", "bd"), block_on("first_name", "bm", "bd")]
    comparisons = [
        compare.NameComparison("first_name").configure(term_frequency_adjustments=True),
        compare.NameComparison("surname").configure(term_frequency_adjustments=True),
        compare.ExactMatch("birth_year").configure(term_frequency_adjustments=True), compare.ExactMatch("bm"), compare.ExactMatch("bd")]
    return Task([connection.sql("select * from people")], settings("dedupe_only", blocking, comparisons),
                [block_on("first_name", "surname", "dob"), block_on("surname", "dob"), block_on("first_name", "dob")], 0.8, 1e7,
                [(block_on("first_name", "surname"), True), (block_on("dob"), True)])


def people(connection):
    columns = {row[0] for row in connection.sql("describe records").fetchall()}
    column = lambda name: name if name in columns else "null::varchar"
    connection.execute(PERSON_MACROS)
    # A full name is split where it ends; what a file calls loyalty or device it may lack.
    first = "coalesce(first_name, case when name like '%,%' then trim(split_part(name, ',', 2)) else regexp_extract(name, '^(\\S+)', 1) end)" \
        if "name" in columns else "first_name"
    last = "coalesce(last_name, case when name like '%,%' then split_part(name, ',', 1) else regexp_extract(name, '(\\S+)$', 1) end)" \
        if "name" in columns else "last_name"
    connection.execute(f"""create table people as select record_id, truth, nullif(fold({first}), '') first_name, nullif(fold({last}), '') last_name,
        mailbox(email) email, number(phone, country) phone, dob, short_street(street) street, lower(postcode) postcode,
        {column('device_id')} device_id, {column('loyalty_id')} loyalty_id from records""")
    connection.execute("alter table people add column full_name varchar")
    connection.execute("update people set full_name = nullif(concat_ws(' ', first_name, last_name), '')")
    for name in ("email", "phone", "device_id"):
        connection.execute(f"""update people set {name} = null where {name} in (select {name} from people where {name} is not null group by 1
            having count(distinct last_name) > 4 or count(distinct dob) > 6 or count(*) > 60)""")
    blocking = [block_on(name) for name in ("email", "phone", "loyalty_id", "device_id")]
    blocking += [block_on("last_name", "dob"), block_on("first_name", "dob"), block_on("first_name", "street"),
                 block_on("first_name", "last_name", "postcode"), block_on("last_name", "postcode", "substr(first_name, 1, 1)")]
    address = compare.CustomComparison(output_column_name="address", comparison_levels=[
        levels.And(levels.NullLevel("street"), levels.NullLevel("postcode")),
        levels.And(levels.ExactMatchLevel("street"), levels.ExactMatchLevel("postcode")),
        levels.And(levels.JaroWinklerLevel("street", 0.92), levels.LevenshteinLevel("postcode", 1)),
        levels.Or(levels.ExactMatchLevel("street"), levels.ExactMatchLevel("postcode")), levels.ElseLevel()])
    comparisons = [
        compare.ForenameSurnameComparison("first_name", "last_name", forename_surname_concat_col_name="full_name"),
        compare.DateOfBirthComparison("dob", input_is_string=True, invalid_dates_as_null=True),
        compare.EmailComparison("email").configure(term_frequency_adjustments=True),
        compare.DamerauLevenshteinAtThresholds("phone", [1]).configure(term_frequency_adjustments=True), address]
    deterministic = [block_on("email", "first_name"), block_on("phone", "first_name", "last_name"), block_on("last_name", "first_name", "dob")]
    if "loyalty_id" in columns:
        comparisons += [compare.ExactMatch("device_id").configure(term_frequency_adjustments=True),
                        compare.DamerauLevenshteinAtThresholds("loyalty_id", [1])]
        deterministic.insert(0, block_on("loyalty_id"))
    training = [(block_on("first_name", "last_name"), True), (block_on("email"), True), (block_on("phone"), True)]
    return Task([connection.sql("select * exclude (truth) from people")], settings("dedupe_only", blocking, comparisons), deterministic, 0.7,
                1e7, training)


def main():
    name, path = sys.argv[1:]
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    begun = time.perf_counter()
    connection.execute(f"create table records as select * from '{path}'")
    task = {"febrl3": febrl3, "febrl4": febrl4, "rldata10000": rldata10000}.get(name, people)(connection)
    laps, last = {}, begun

    def lap(what):
        nonlocal last
        laps[what] = time.perf_counter() - last
        last = time.perf_counter()

    lap("normalise")
    api = DuckDBAPI(connection=connection)
    tables = [api.register(table) for table in task.tables]
    linker = Linker(tables if len(tables) > 1 else tables[0], task.settings)
    linker.training.estimate_probability_two_random_records_match(task.deterministic, recall=task.recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=task.u_pairs, seed=1)
    for rule, without_frequencies in task.training:
        linker.training.estimate_parameters_using_expectation_maximisation(rule, estimate_without_term_frequencies=without_frequencies)
    lap("train")
    predicted = linker.inference.predict(threshold_match_probability=PREDICT_FLOOR)
    lap("predict")
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_probability=DEFAULT_PROBABILITY)
    connection.register("clusters", clusters.as_duckdbpyrelation())
    # Versions of one record count once.
    has_versions = "record" in {row[0] for row in connection.sql("describe records").fetchall()}
    once = "qualify row_number() over (partition by r.record order by r.record_id) = 1" if has_versions else ""
    found = connection.sql(f"""select r.truth, coalesce(c.cluster_id, r.record_id)::varchar cluster from records r
        left join (select record_id, any_value(cluster_id) cluster_id from clusters group by 1) c using (record_id)
        where r.truth is not null {once}""").fetchnumpy()
    lap("cluster")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": laps | {"total": time.perf_counter() - begun}, "peak_bytes": peak,
                      "score": score(found["cluster"], found["truth"])}))


def score(clusters, truth):
    """The same figures as the matcher prints."""
    cluster, person = (np.unique(np.asarray(column).astype(str), return_inverse=True)[1] for column in (clusters, truth))
    by_cluster, by_person = np.bincount(cluster), np.bincount(person)
    cells, count = np.unique(cluster.astype(np.int64) * len(by_person) + person, return_counts=True)
    of_cluster, of_person = by_cluster[cells // len(by_person)], by_person[cells % len(by_person)]
    pairs = lambda counts: float((counts.astype(float) * (counts - 1) / 2).sum())
    mean = lambda precision, recall: 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    precision = pairs(count) / pairs(by_cluster) if pairs(by_cluster) else 1.0
    recall = pairs(count) / pairs(by_person) if pairs(by_person) else 1.0
    squares = count.astype(float) ** 2
    cubed = float((squares / of_cluster).sum()) / len(cluster), float((squares / of_person).sum()) / len(cluster)
    return {"pair_precision": precision, "pair_recall": recall, "pair_f1": mean(precision, recall), "b3_f1": mean(*cubed),
            "largest": int(by_cluster.max())}


if __name__ == "__main__":
    main()
