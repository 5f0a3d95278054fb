// postgres.js: tagged templates, types, cursors, COPY, transactions, pipelining, cancelling, errors.

const assert = require("node:assert/strict");
const { after, test } = require("node:test");
const postgres = require("postgres");

const where = { host: "127.0.0.1", port: Number(process.env.ONEFOLD_PORT), user: "engineer", password: "demo", database: "onefold" };
const sql = postgres({ ...where, max: 2, onnotice: () => {} });

after(() => sql.end());

test("values come back as they went", async () => {
  for (const value of ["x", null]) {
    const [{ x }] = await sql`SELECT ${value} AS x`;
    assert.deepEqual(x, value);
  }
  const [row] = await sql`SELECT ${5}::int AS y, ${[1, 2]}::int[] AS z, ${sql.json({ a: 1 })}::jsonb AS j, ${sql.array(["a"])}::text[] AS t`;
  assert.deepEqual({ ...row }, { y: 5, z: [1, 2], j: { a: 1 }, t: ["a"] });
});

test("queries are put together", async () => {
  const chosen = await sql`
    SELECT ${sql("order_id")} FROM ${sql("sources.shop_orders")} WHERE order_id IN ${sql(["O0000001", "O0000002"])} ORDER BY 1`;
  assert.deepEqual(chosen.map((row) => row.order_id), ["O0000001", "O0000002"]);
  const any = await sql`SELECT order_id FROM sources.shop_orders WHERE order_id = ANY(${["O0000003"]})`;
  assert.deepEqual([...any], [{ order_id: "O0000003" }]);
});

test("a cursor reads piece by piece", async () => {
  const sizes = [];
  await sql`SELECT generate_series(1, 250) AS n`.cursor(100, (rows) => void sizes.push(rows.length));
  assert.deepEqual(sizes, [100, 100, 50]);
  let count = 0;
  for await (const rows of sql`SELECT order_id FROM sources.shop_orders`.cursor(5000)) {
    count += rows.length;
  }
  assert.equal(count, 25659);
});

test("rows are copied out", async () => {
  let text = "";
  for await (const part of await sql`COPY (SELECT order_id FROM sources.shop_orders LIMIT 1000) TO STDOUT`.readable()) {
    text += part;
  }
  assert.equal(text.split("\n").length, 1001);
});

test("transactions and savepoints", async () => {
  const [{ x }] = await sql.begin("read only", async (own) => {
    await own.savepoint((inner) => inner`SELECT nope FROM profiles`).catch((error) => assert.equal(error.code, "42703"));
    return own`SELECT 2::int AS x`;
  });
  assert.equal(x, 2);
});

test("many queries are under way at once", async () => {
  const rows = await Promise.all([...Array(30).keys()].map((n) => sql`SELECT ${n}::int AS n`));
  assert.deepEqual(rows.map(([row]) => row.n), [...Array(30).keys()]);
});

test("statements are described, sent simply and several at once", async () => {
  const { columns, types } = await sql`SELECT profile_id, ${1}::int AS n FROM profiles`.describe();
  assert.deepEqual([columns.map((column) => column.type), types], [[20, 23], [23]]);
  const both = await sql`SELECT 1::int AS a; SELECT 2::int AS b`.simple();
  assert.deepEqual(both.map((rows) => ({ ...rows[0] })), [{ a: 1 }, { b: 2 }]);
});

test("a query is cancelled", async () => {
  const query = sql`SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b`;
  setTimeout(() => query.cancel(), 200);
  await assert.rejects(query, { code: "57014" });
});

test("errors say where", async () => {
  await assert.rejects(sql`SELECT nope FROM profiles`, { code: "42703", position: "8" });
});

test("it does without prepared statements and types of the server", async () => {
  const plain = postgres({ ...where, prepare: false, fetch_types: false, connection: { application_name: "a report" } });
  const [row] = await plain`SELECT ${1}::int AS a, current_setting('application_name') AS name`;
  assert.deepEqual({ ...row }, { a: 1, name: "a report" });
  await plain.end();
});
