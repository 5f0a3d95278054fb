"""psql: every backslash command that describes something ends without an error, and says what is there."""

import os
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not here")

# Those of psql 15, with what may follow them.
DESCRIBE = r"""
\d  \d+  \dS  \dS+  \d profiles  \d+ profiles  \d+ sources.shop_orders  \d+ segments.big_spenders  \d cdp.refreshes  \d events_home  \d+ events_home
\d *.profiles  \d profiles_pkey  \dS+ pg_class  \d information_schema.tables
\da  \da+  \daS  \dA  \dA+  \dAc  \dAc+  \dAf  \dAf+  \dAo  \dAo+  \dAp  \dAp+  \db  \db+  \dc  \dc+  \dcS+
\dconfig  \dconfig+  \dconfig *  \dC  \dC+  \dd  \ddS  \dd profiles  \ddp  \dD  \dD+  \dDS+
\des  \des+  \det  \det+  \deu  \dew  \dew+  \dE  \dE+
\df  \df+  \dfa  \dfn  \dfp  \dft  \dfw  \dfS  \dfS+  \df count  \df+ lower text  \dF  \dF+  \dFd  \dFd+  \dFp  \dFp+  \dFt  \dFt+
\dg  \dg+  \di  \di+  \diS  \dl  \dl+  \lo_list  \dL  \dL+  \dLS  \dm  \dm+  \dn  \dn+  \dnS+  \dn s*
\do  \do+  \doS  \do = int8 int8  \dO  \dO+  \dOS+  \dp  \dp profiles  \dp *.*  \z  \z profiles
\dP  \dPn  \dPi  \dPt  \drds  \drds engineer  \dRp  \dRp+  \dRs  \dRs+  \ds  \ds+  \dsS
\dt  \dt+  \dt *.*  \dt+ sources.*  \dT  \dT+  \dTS  \dTS+  \dT int8  \du  \du+  \duS+  \du engineer
\dv  \dv+  \dvS  \dv public.*  \dx  \dx+  \dX  \dX+  \dy  \dy+  \l  \l+  \l onefold
\sv events_home  \sv+ events_home  \conninfo  \encoding  \encoding UTF8  \timing on  \c  \c onefold
"""
# What psql says where there is nothing to list.
NOTHING = re.compile(r"(error: )?Did not find any \w")
PLACE = re.compile(r"psql:<stdin>:(\d+): (.*)")


def psql(shop, script: str, *options: str) -> tuple[str, str]:
    arguments = ["psql", "-X", "-h", "127.0.0.1", "-p", str(shop.port), "-U", "engineer", "-d", "onefold", *options, "-f", "-"]
    environment = {**os.environ, "PGPASSWORD": "demo", "LC_ALL": "C"}
    done = subprocess.run(arguments, input=script, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def answer(shop, script: str) -> str:
    said, complained = psql(shop, script, "-A", "-t")
    assert not complained, complained
    return said


def test_no_command_ends_in_an_error(shop):
    commands = [command for line in DESCRIBE.splitlines() for command in re.split(r"  +", line.strip()) if command]
    assert len(commands) > 140
    _, complained = psql(shop, "\n".join(commands) + "\n")
    wrong = {}
    for line in complained.splitlines():
        place = PLACE.match(line)
        if place is not None and not NOTHING.match(place[2]):
            wrong[commands[int(place[1]) - 1]] = place[2]
    assert not wrong, wrong


def test_a_view_is_shown_as_it_is_defined(shop):
    said = answer(shop, "\\sv events_home\n")
    assert said.startswith("CREATE OR REPLACE VIEW public.events_home AS\n SELECT message_id, profile_id")
    assert "View definition:\n SELECT message_id" in psql(shop, "\\d+ events_home\n")[0]


def test_roles_and_schemas_are_listed(shop):
    roles = {line.split("|")[0] for line in answer(shop, "\\du\n").splitlines()}
    assert {"analyst", "engineer", "marketer", "privacy_officer"} <= roles
    schemas = {line.split("|")[0] for line in answer(shop, "\\dn\n").splitlines()}
    assert {"public", "sources", "segments", "cdp"} <= schemas


def test_a_key_is_described(shop):
    assert '"profiles_pkey" PRIMARY KEY, btree (profile_id)' in psql(shop, "\\d profiles\n")[0]
    assert 'primary key, btree, for table "public.profiles"' in psql(shop, "\\d profiles_pkey\n")[0]


def test_sequences_and_unique_constraints_are_described(shop):
    answer(shop, "CREATE TABLE p_slips (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, code text UNIQUE);\n")
    said = psql(shop, "\\d p_slips\n")[0]
    assert "nextval('p_slips_id_seq'::regclass)" in said and "generated always as identity" in said
    assert '"p_slips_code_key" UNIQUE CONSTRAINT, btree (code)' in said
    said = psql(shop, "\\d p_slips_id_seq\n")[0]
    assert 'Sequence "analytics.p_slips_id_seq"' in said and "Owned by: analytics.p_slips.id" in said
    assert "integer" in said and "2147483647" in said
    assert "Sequence for identity column: analytics.p_slips.n" in psql(shop, "\\d p_slips_n_seq\n")[0]
    listed = [line.split("|")[:3] for line in answer(shop, "\\ds p_slips*\n").splitlines()]
    assert listed == [["analytics", f"p_slips_{column}_seq", "sequence"] for column in ["id", "n"]]
    answer(shop, "DROP TABLE p_slips;\n")


def test_foreign_keys_are_described_from_both_ends(shop):
    answer(
        shop,
        "CREATE TABLE p_towns (id int PRIMARY KEY);\n"
        "CREATE TABLE p_shops (town int REFERENCES p_towns ON DELETE CASCADE, FOREIGN KEY (town) REFERENCES p_towns NOT DEFERRABLE);\n",
    )
    said = psql(shop, "\\d p_shops\n")[0]
    assert "Foreign-key constraints:" in said and "Referenced by:" not in said
    assert '"p_shops_town_fkey" FOREIGN KEY (town) REFERENCES p_towns(id) ON DELETE CASCADE' in said
    assert '"p_shops_town_fkey1" FOREIGN KEY (town) REFERENCES p_towns(id)\n' in said
    said = psql(shop, "\\d p_towns\n")[0]
    assert "Referenced by:" in said and "Foreign-key constraints:" not in said
    assert 'TABLE "p_shops" CONSTRAINT "p_shops_town_fkey" FOREIGN KEY (town) REFERENCES p_towns(id) ON DELETE CASCADE' in said
    assert "depends on table p_towns" in psql(shop, "DROP TABLE p_towns;\n")[1]
    answer(shop, "DROP TABLE p_shops, p_towns;\n")


def test_results_are_described_without_being_read(shop):
    said = answer(shop, "SELECT profile_id, amount, ordered_at, channel FROM sources.shop_orders \\gdesc\n")
    assert said.splitlines() == [
        "profile_id|bigint",
        "amount|numeric(12,2)",
        "ordered_at|timestamp with time zone",
        "channel|text",
    ]


def test_results_are_turned_stored_and_run(shop):
    query = "SELECT channel, items, count(*) FROM sources.shop_orders WHERE items < 3 GROUP BY 1, 2 ORDER BY 1, 2"
    said = answer(shop, f"{query} \\crosstabview\n")
    assert "web|6782|3418" in said.splitlines()
    assert answer(shop, "SELECT count(*) AS n FROM sources.shop_orders \\gset\n\\echo :n\n") == "25659\n"
    assert answer(shop, "SELECT 'SELECT ' || n FROM generate_series(1, 2) AS g(n) \\gexec\n") == "1\n2\n"
    assert answer(shop, "SELECT 1 AS a \\gx\n") == "a|1\n"


def test_a_failed_statement_costs_nothing_with_on_error_rollback(shop):
    script = "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT nope;\nSELECT 1;\nCOMMIT;\n\\errverbose\n"
    said, complained = psql(shop, script, "-A", "-t", "-q")
    assert said.splitlines()[0] == "1" and 'column "nope" does not exist' in complained and "42703" in said + complained


def test_local_copies(shop, tmp_path):
    script = (
        "\\copy (SELECT order_id FROM sources.shop_orders ORDER BY 1 LIMIT 2) TO STDOUT CSV HEADER\n"
        f"\\copy sources.shop_orders (order_id, amount) TO '{tmp_path / 'orders'}'\n"
    )
    assert answer(shop, script) == "order_id\nO0000001\nO0000002\nCOPY 25659\n"
    assert len((tmp_path / "orders").read_text().splitlines()) == 25659
