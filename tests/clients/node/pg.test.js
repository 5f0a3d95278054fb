// node-postgres: types, parameters, prepared statements, cursors, streams, pools, transactions, errors.

const assert = require("node:assert/strict");
const { after, before, test } = require("node:test");
const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");

const where = { host: "127.0.0.1", port: Number(process.env.ONEFOLD_PORT), user: "engineer", password: "demo", database: "onefold" };
const ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
const client = new Client(where);

before(() => client.connect());
after(() => client.end());

const value = async (text, values) => Object.values((await client.query(text, values)).rows[0])[0];
const code = async (work) => {
  try {
    await work();
  } catch (error) {
    return error.code;
  }
};

test("every type is read", async () => {
  for (const [expression, expected] of [
    ["1::smallint", 1],
    ["2::int", 2],
    ["9007199254740993::bigint", "9007199254740993"],
    ["1.50::numeric(10,2)", "1.50"],
    ["2.5::float8", 2.5],
    ["true", true],
    ["'x'::text", "x"],
    ["TIMESTAMPTZ '2026-01-02 03:04:05+00'", new Date("2026-01-02T03:04:05Z")],
    ["'{\"a\": [1, null]}'::jsonb", { a: [1, null] }],
    ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    ["ARRAY[1, NULL]::int[]", [1, null]],
    ["ARRAY['a', 'b,c']", ["a", "b,c"]],
    ["NULL", null],
  ]) {
    assert.deepEqual(await value(`SELECT ${expression}`), expected, expression);
  }
});

test("parameters come back as they went", async () => {
  for (const [text, sent, expected] of [
    ["SELECT $1", "x"],
    ["SELECT $1::int", 5],
    ["SELECT $1::bigint", "9007199254740993"],
    ["SELECT $1::jsonb", { a: 1 }],
    ["SELECT $1::int[]", [1, 2]],
    ["SELECT $1::text[]", ["a", 'b"c', null]],
    ["SELECT $1::timestamptz", new Date(0)],
    ["SELECT $1::boolean", true],
    ["SELECT $1::numeric", "0.123456789012"],
    ["SELECT coalesce($1, $2)", null, "z"],
  ]) {
    const values = expected === undefined ? [sent] : [sent, expected];
    assert.deepEqual(await value(text, values), expected === undefined ? sent : expected, text);
  }
});

test("parameters filter", async () => {
  const text = "SELECT order_id FROM sources.shop_orders WHERE order_id = ANY($1) AND amount > $2 ORDER BY 1";
  const { rows } = await client.query(text, [["O0000001", "O0000002", "O0000003"], 30]);
  assert.deepEqual(rows, [{ order_id: "O0000003" }]);
});

test("a statement with a name is prepared once", async () => {
  for (const least of [0, 50]) {
    const query = { name: "orders", text: "SELECT count(*)::int AS n FROM sources.shop_orders WHERE amount > $1", values: [least] };
    assert.ok((await client.query(query)).rows[0].n > 0);
  }
  const { rows, fields } = await client.query({ text: "SELECT 1::int4 AS a, 'x' AS b", rowMode: "array", binary: true });
  assert.deepEqual([rows, fields.map((field) => field.name)], [[[1, "x"]], ["a", "b"]]);
});

test("several statements have several results", async () => {
  const results = await client.query("SELECT 1::int AS a; SELECT 2::int AS b");
  assert.deepEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
});

test("a cursor and a stream read piece by piece", async () => {
  const cursor = client.query(new Cursor("SELECT order_id FROM sources.shop_orders WHERE items >= $1", [1]));
  let count = 0;
  for (let rows = await cursor.read(5000); rows.length > 0; rows = await cursor.read(5000)) {
    count += rows.length;
  }
  await cursor.close();
  assert.equal(count, 25659);
  count = 0;
  for await (const _ of client.query(new QueryStream("SELECT generate_series(1, 1000) AS n", [], { batchSize: 50 }))) {
    count += 1;
  }
  assert.equal(count, 1000);
});

test("a stream that is left leaves the connection usable", async () => {
  for await (const _ of client.query(new QueryStream("SELECT generate_series(1, 1000) AS n", [], { batchSize: 10 }))) {
    break;
  }
  assert.equal(await value("SELECT 7::int"), 7);
});

test("a pool works in parallel under its settings", async () => {
  const pool = new Pool({ ...where, max: 3, application_name: "a report", statement_timeout: 5000, lock_timeout: 100 });
  const text = "SELECT $1::int AS n, current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout";
  const results = await Promise.all([...Array(9).keys()].map((n) => pool.query(text, [n])));
  assert.deepEqual(results[8].rows, [{ n: 8, name: "a report", timeout: "5s" }]);
  await pool.end();
});

test("options of the connection are settings", async () => {
  const other = new Client({ ...where, options: "-c search_path=cdp,public -c work_mem=64MB" });
  await other.connect();
  assert.deepEqual((await other.query("SHOW search_path")).rows, [{ search_path: "cdp,public" }]);
  await other.end();
});

test("a transaction fails and ends", async () => {
  await client.query("BEGIN");
  assert.equal(await code(() => client.query("SELECT nope FROM profiles")), "42703");
  assert.equal(await code(() => client.query("SELECT 1")), "25P02");
  await client.query("ROLLBACK");
  assert.equal(await value("SELECT 1::int"), 1);
});

test("a query ends with its time", async () => {
  const other = new Client({ ...where, statement_timeout: 100 });
  await other.connect();
  assert.equal(await code(() => other.query(ENDLESS)), "57014");
  await other.end();
});
