"""Messages as bytes, those that no driver sends among them, and the shape of what a server answers.

A conversation is a list of exchanges: what is sent at once, up to the answer that ends it, which is ReadyForQuery, CopyInResponse
or a closed socket. Of an error the shape has the severity and SQLSTATE; texts are each server's own.
"""

import os
import socket
import struct

from psycopg import pq

ANSWER_TIMEOUT_S = 60


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def query(text):
    return message(b"Q", text.encode() + b"\0")


def parse(text, name="", types=()):
    body = f"{name}\0{text}\0".encode() + struct.pack("!H", len(types))
    return message(b"P", body + b"".join(struct.pack("!I", oid) for oid in types))


def bind(statement="", portal="", values=(), formats=(), results=()):
    def codes(numbers):
        return struct.pack(f"!H{len(numbers)}h", len(numbers), *numbers)

    sized = b"".join(struct.pack("!i", len(value)) + value for value in values)
    body = f"{portal}\0{statement}\0".encode() + codes(formats) + struct.pack("!H", len(values)) + sized + codes(results)
    return message(b"B", body)


def describe(target, name=""):
    return message(b"D", target + name.encode() + b"\0")


def execute(portal="", rows_max=0):
    return message(b"E", portal.encode() + b"\0" + struct.pack("!i", rows_max))


def close(target, name):
    return message(b"C", target + name.encode() + b"\0")


def copied(rows):
    return message(b"d", rows)


SYNC, FLUSH, DONE, GOODBYE = message(b"S"), message(b"H"), message(b"c"), message(b"X")
GIVEN_UP = message(b"f", b"no\0")


def run(text):
    """A statement in the extended protocol, without its Sync."""
    return parse(text) + bind() + execute()


NUMBERS = "SELECT g FROM generate_series(1, 10) g"
INSERT = "INSERT INTO wire VALUES (1)"
COPY = "COPY wire FROM STDIN"
ROWS = query("SELECT n FROM wire ORDER BY n")
BAD = "SELECT nonsense"
NAMED = "SET application_name = 'x'"
NAME = query("SHOW application_name")
LOCK = "LOCK TABLE wire IN ACCESS SHARE MODE"
RETURNING = "INSERT INTO wire VALUES (1), (2), (3) RETURNING n"
TWO = "SELECT $1::int, $2::int"

CONVERSATIONS = {
    "a text is a transaction": [query(f"{INSERT}; {BAD}"), ROWS],
    "COMMIT ends that of a text": [query(f"{INSERT}; COMMIT; {BAD}"), ROWS],
    "ROLLBACK ends that of a text": [query(f"{INSERT}; ROLLBACK; SELECT 1"), ROWS],
    "BEGIN goes on with that of a text": [query(f"{INSERT}; BEGIN; {INSERT}"), query("ROLLBACK"), ROWS],
    "COMMIT ends that of a series": [run(INSERT) + run("COMMIT") + parse(BAD) + SYNC, ROWS],
    "ROLLBACK ends that of a series": [run(INSERT) + run("ROLLBACK") + SYNC, ROWS],
    "a series is a transaction": [run(INSERT) + parse(BAD) + run(INSERT) + SYNC, run(INSERT) + SYNC, ROWS],
    "a query ends a series": [run(INSERT) + query("SELECT 1"), SYNC, ROWS],
    "an empty query ends a series": [run(INSERT) + query(""), SYNC, ROWS],
    "a query that fails ends a series": [run(INSERT) + query(BAD), SYNC, ROWS],
    "what a text that fails has set is undone": [
        query(f"{NAMED}; {BAD}"), NAME,
        query(f"{NAMED}; SELECT 1"), NAME,
        query(f"RESET application_name; {BAD}"), NAME,
        query(f"RESET ALL; {BAD}"), NAME,
        query(f"SELECT set_config('application_name', 'y', false); {BAD}"), NAME,
        query(f"SET app.mine = '1'; {BAD}"), query("SHOW app.mine"),
        query(f"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; {BAD}"), query("SHOW transaction_read_only"),
    ],
    "COMMIT and ROLLBACK in a text end what it has set": [
        query(f"{NAMED}; ROLLBACK; SELECT 1"), NAME,
        query(f"{NAMED}; COMMIT; {BAD}"), NAME,
        query(f"BEGIN; SET application_name = 'y'; COMMIT; SET application_name = 'z'; {BAD}"), NAME,
        query("SET application_name = 'u'; BEGIN; SET application_name = 'v'"), query("ROLLBACK"), NAME,
        query(f"SET application_name = 'u'; BEGIN; {BAD}"), query("ROLLBACK"), NAME,
    ],
    "what a series that fails has set is undone": [
        run(NAMED) + parse(BAD) + SYNC, NAME,
        run(NAMED) + run("SELECT 1") + SYNC, NAME,
        run("SET application_name = 'y'") + FLUSH + run("SHOW application_name") + parse(BAD) + SYNC, NAME,
        run("SET application_name = 'y'") + run("ROLLBACK") + SYNC, NAME,
        run("SET application_name = 'y'") + query(BAD), NAME,
        run("SET application_name = 'y'") + query("SELECT 1"), NAME,
    ],
    "settings of a transaction that is no block": [
        query("SET LOCAL application_name = 'x'; SHOW application_name"), NAME,
        query("SET LOCAL application_name = 'x'"), NAME,
        run("SET LOCAL application_name = 'x'") + run("SHOW application_name") + SYNC, NAME,
        query("SELECT set_config('application_name', 'x', true); SHOW application_name"), NAME,
        query("SET TRANSACTION READ ONLY; SHOW transaction_read_only"), query("SHOW transaction_read_only"),
        query(f"SET TRANSACTION READ ONLY; {INSERT}"), query("SET TRANSACTION READ ONLY"), query(INSERT),
        query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation"), query("SHOW transaction_isolation"),
        query("SET transaction_read_only = on; SHOW transaction_read_only"), query("SHOW transaction_read_only"),
        query("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SHOW transaction_read_only"), query(INSERT),
        query("SHOW transaction_read_only"), query("BEGIN READ WRITE"), query(INSERT), query("ROLLBACK"),
    ],
    "a transaction that only reads stays so": [
        query("BEGIN READ ONLY; SELECT 1"), query("SET TRANSACTION READ WRITE"), query("ROLLBACK"),
        query("BEGIN READ ONLY; SET TRANSACTION READ WRITE"), query(INSERT), query("SET TRANSACTION READ WRITE"), query("ROLLBACK"),
        query("BEGIN READ ONLY; SAVEPOINT a"), query("SET TRANSACTION READ WRITE"), query("ROLLBACK TO a; ROLLBACK"),
        query("BEGIN; SAVEPOINT a; SET TRANSACTION READ ONLY; SELECT 1"), query("ROLLBACK TO a"), query(INSERT), query("ROLLBACK"),
    ],
    "statements of a text share their transaction": [
        query(f"DECLARE c CURSOR FOR {NUMBERS}; FETCH 1 FROM c"), query("FETCH 1 FROM c"),
        query(f"{LOCK}; SELECT 1"), query(LOCK),
        query("SAVEPOINT a; SELECT 1"), query("SELECT 1; ROLLBACK TO a"), query("COMMIT AND CHAIN; SELECT 1"),
        query("SELECT 1; DISCARD ALL"), query("DISCARD ALL; SELECT 1"), query("DISCARD ALL"),
        run(f"DECLARE c CURSOR FOR {NUMBERS}") + SYNC, run(LOCK) + SYNC, run("SAVEPOINT a") + SYNC,
    ],
    "a transaction has one time": [
        query("BEGIN; CREATE TEMP TABLE timed AS SELECT now() AS t"),
        query("SELECT t = now(), t = CURRENT_TIMESTAMP, t = transaction_timestamp(), t < statement_timestamp() FROM timed"),
        query("SELECT t = 'now'::timestamptz, t::date = CURRENT_DATE FROM timed"),
        query("ROLLBACK; CREATE TEMP TABLE timed AS SELECT now() AS t; SELECT t = now() FROM timed"),
        query("SELECT t < now(), now() = now() FROM timed"), query("DROP TABLE timed"),
    ],
    "a transaction has one number": [
        query("BEGIN; CREATE TEMP TABLE numbered AS SELECT txid_current() AS x"), query("SELECT x = txid_current() FROM numbered"),
        query("COMMIT"), query("SELECT x < txid_current() FROM numbered"), query("DROP TABLE numbered"),
        query("SELECT txid_current() = txid_current()"),
    ],
    "blocks in blocks and none": [
        query("BEGIN; BEGIN"), query("COMMIT; COMMIT"), query("COMMIT"), query("ROLLBACK"), query("SELECT 1; COMMIT; SELECT 2"),
        run("SELECT 1") + run("BEGIN") + run("SELECT 2") + SYNC, run("COMMIT") + SYNC, run("COMMIT") + SYNC, run("ROLLBACK") + SYNC,
    ],
    "names that are not there": [
        *(part + SYNC for part in (bind("no"), bind(), describe(b"S", "no"), describe(b"S"), describe(b"P", "no"))),
        *(part + SYNC for part in (describe(b"P"), execute("no"), execute(), close(b"S", "no") + close(b"P", "no"))),
    ],
    "what has no name ends with a query": [parse("SELECT 1") + SYNC, query("SELECT 2"), bind() + SYNC],
    "what is not there when it is described": [
        parse("FETCH 1 FROM no") + describe(b"S") + bind() + execute() + SYNC,
        parse("EXECUTE no") + describe(b"S") + bind() + execute() + SYNC,
        parse("SELECT 1") + parse("SELECT 1", "a") + SYNC,
        parse("DEALLOCATE ALL", "b") + bind("b", "p") + execute("p") + bind() + execute() + bind("a") + SYNC,
    ],
    "broken bodies": [
        parse("SELECT $1::text") + SYNC,
        *(message(kind, body) + SYNC for kind, body in (
            (b"D", b"Z\0"), (b"C", b"Z\0"), (b"D", b""), (b"D", b"S"), (b"P", b"abc"), (b"P", b"\0SELECT 1\0"),
            (b"E", b"abc"), (b"E", b"\0\0"), (b"B", b"\0\0\0\1"), (b"B", b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),
            (b"H", b"x"), (b"D", b"S\xff\0"), (b"E", b"\xff\0\0\0\0\0"), (b"P", b"\xff\0SELECT 1\0\0\0"),
        )),
        *(message(kind, body) for kind, body in ((b"S", b"x"), (b"Q", b"SELECT 1"), (b"Q", b"SELECT 1\0x"), (b"Q", b"\xff\0"))),
        query("SELECT 1"),
    ],
    "a broken body in a block": [query("BEGIN"), message(b"E", b"abc") + SYNC, query("SELECT 1"), query("ROLLBACK")],
    "broken bodies behind an error": [parse(BAD) + message(b"B", b"x") + query("SELECT 1") + SYNC, parse(BAD) + message(b"S", b"x")],
    "a message of no type": [message(b"z")],
    "formats and values": [
        parse(TWO, "two") + SYNC,
        *(bind("two", values=values, formats=formats, results=results) + SYNC for values, formats, results in (
            ([b"1", b"2"], [0, 0, 0], []), ([b"1"], [], []), ([b"1"], [0, 0, 0], []), ([b"1", b"2"], [7], []),
            ([b"1", b"2"], [], [0, 0, 0]), ([b"1", b"x"], [], []), ([b"1", b"\0\0"], [0, 1], []), ([b"1", b"\0" * 5], [0, 1], []),
            ([b"1", b"\xff"], [], []), ([b"1", b"2\0"], [], []), ([b"1", b"2"], [], [0, 1]),
        )),
    ],
    "types that are declared": [
        parse("SELECT $1", "a", [23, 25]) + describe(b"S", "a") + bind("a", values=[b"1", b"x"]) + execute() + SYNC,
        parse("SELECT $1::int", "b", [705]) + describe(b"S", "b") + SYNC,
    ],
    "a block that has failed": [
        query("BEGIN"),
        parse(NUMBERS, "numbers") + bind("numbers", "open") + parse("SET application_name = 'x'", "set") + SYNC,
        query(BAD),
        *(part + SYNC for part in (
            parse("SELECT 1"), parse("") + bind(), bind("numbers"), bind("numbers", values=[b"1"]), describe(b"S", "numbers"),
            describe(b"P", "open"), describe(b"S", "set"), execute("open"), close(b"P", "open"), bind("no"),
        )),
        *(query(text) for text in ("", "SELECT 1", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "BEGIN", "COMMIT")),
    ],
    "savepoints and what was opened since": [
        query(f"BEGIN; DECLARE before CURSOR FOR {NUMBERS}; SAVEPOINT a; DECLARE since CURSOR FOR {NUMBERS}"),
        parse(NUMBERS) + bind(portal="p") + execute("p", 2) + SYNC,
        query("ROLLBACK TO a"),
        query("FETCH 1 FROM before"),
        query(f"DECLARE since CURSOR FOR {NUMBERS}"),
        execute("p", 2) + SYNC,
        query("ROLLBACK"),
    ],
    "portals go on where they were": [
        query("BEGIN"),
        parse(NUMBERS) + bind(portal="p") + execute("p", 4) * 4 + SYNC,
        bind(portal="p") + SYNC,
        query("ROLLBACK"),
        parse(NUMBERS) + bind() + execute("", 10) * 2 + SYNC,
        parse(NUMBERS) + bind(portal="p") + execute("p", 2) + query("SELECT 1"),
        execute("p", 2) + SYNC,
    ],
    "rows of a statement that writes come as many as are wanted": [
        query("BEGIN"),
        parse(RETURNING) + bind(portal="p") + execute("p", 2) + execute("p", 2) + execute("p", 2) + execute("p") + SYNC,
        parse(RETURNING) + bind() + execute("", 3) + execute("", 3) + SYNC,
        ROWS, query("ROLLBACK"),
        parse(RETURNING) + bind() + execute("", 2) + SYNC, ROWS, execute("", 2) + SYNC,
        parse("UPDATE wire SET n = n + 1 RETURNING n") + bind() + execute("", 2) + execute() + SYNC,
        parse("DELETE FROM wire WHERE n = 4 RETURNING n") + bind() + execute("", 2) + execute() + SYNC,
        parse("INSERT INTO wire VALUES (8), (9)") + bind() + execute("", 1) + execute("", 1) + SYNC, ROWS,
    ],
    "rows of what is no query come as many as are wanted": [
        parse("SHOW standard_conforming_strings") + bind() + execute("", 1) + execute("", 1) * 2 + SYNC,
        query(f"PREPARE q AS {NUMBERS}; PREPARE w AS {RETURNING}"),
        parse("EXECUTE q") + bind() + execute("", 6) * 3 + SYNC,
        parse("EXECUTE w") + bind() + execute("", 2) * 3 + SYNC,
        parse(NAMED) + bind() + execute() * 2 + SYNC,
    ],
    "rows are fetched from a portal": [
        query("BEGIN"),
        parse(NUMBERS) + bind(portal="p", results=[1]) + SYNC,
        query("FETCH 2 FROM p"), execute("p", 1) + SYNC, query("FETCH 1 FROM p"),
        parse("FETCH 2 FROM p") + bind() + describe(b"P") + execute() + describe(b"P", "p") + execute("p", 1) + SYNC,
        query("MOVE 1 FROM p"), query("FETCH RELATIVE 2 FROM p"), execute("p") + SYNC, execute("p") + SYNC, query("FETCH 1 FROM p"),
        query("SELECT name, is_holdable, is_binary, is_scrollable FROM pg_cursors"),
        query("CLOSE p"), execute("p") + SYNC, query("ROLLBACK"),
    ],
    "a portal that has run is fetched from where it is": [
        query("BEGIN"),
        parse(NUMBERS) + bind(portal="p") + execute("p", 2) + SYNC,
        query("FETCH ABSOLUTE 4 FROM p"), query("SAVEPOINT a"), query("FETCH BACKWARD 1 FROM p"), query("ROLLBACK TO a"),
        parse(NUMBERS) + bind(portal="d") + execute("d") + SYNC, query("FETCH 2 FROM d"), query("FETCH ABSOLUTE 3 FROM d"),
        query("ROLLBACK; BEGIN; SAVEPOINT a"),
        parse(NUMBERS) + bind(portal="p") + execute("p", 1) + SYNC, query("FETCH 1 FROM p"), query("ROLLBACK TO a"),
        query("FETCH 1 FROM p"), query("ROLLBACK"),
    ],
    "rows are fetched from what is no query": [
        query("BEGIN"),
        parse(RETURNING) + bind(portal="p") + SYNC, query("FETCH 2 FROM p"), ROWS, execute("p") + SYNC, query("FETCH 2 FROM p"),
        parse("SHOW standard_conforming_strings") + bind(portal="s") + SYNC, query("FETCH 2 FROM s"), execute("s") + SYNC,
        parse("FETCH 1 FROM f") + bind(portal="f") + execute("f") + SYNC,
        query("ROLLBACK"),
    ],
    "a cursor is executed as a portal": [
        query(f"BEGIN; DECLARE c CURSOR FOR {NUMBERS}; DECLARE s SCROLL CURSOR FOR {NUMBERS}; DECLARE b BINARY CURSOR FOR {NUMBERS}"),
        execute("c", 7) + SYNC, query("FETCH 1 FROM c"), describe(b"P", "c") + execute("c", 2) + execute("c", 2) * 2 + SYNC,
        execute("s", 9) + SYNC, query("FETCH BACKWARD 2 FROM s"), execute("s") * 2 + SYNC, query("FETCH PRIOR FROM s"),
        describe(b"P", "b") + execute("b", 1) + SYNC,
        close(b"P", "c") + SYNC, query("SAVEPOINT a"), execute("c") + SYNC, query("ROLLBACK TO a"), query("CLOSE ALL"),
        execute("s") + SYNC, query("ROLLBACK"),
        query(f"DECLARE h CURSOR WITH HOLD FOR {NUMBERS}"), execute("h", 2) + SYNC, query("FETCH 1 FROM h"), query("CLOSE h"),
    ],
    "cursors and portals share names": [
        query(f"BEGIN; DECLARE c CURSOR FOR {NUMBERS}"),
        parse(NUMBERS) + bind(portal="c") + SYNC,
        query("ROLLBACK; BEGIN"),
        parse(NUMBERS) + bind(portal="c") + SYNC,
        query(f"DECLARE c CURSOR FOR {NUMBERS}"),
        query("ROLLBACK"),
    ],
    "copies in": [
        query(COPY), copied(b"1\n") + SYNC + FLUSH + copied(b"2\n") + DONE,
        query(COPY), GIVEN_UP,
        query(COPY), copied(b"x\n") + copied(b"2\n") + DONE,
        query(COPY), copied(b"1\t2\n") + DONE,
        query(f"{COPY}; {BAD}"), copied(b"3\n") + DONE,
        ROWS,
    ],
    "copies in of the extended protocol": [
        parse(COPY) + describe(b"S") + bind() + describe(b"P") + execute() + FLUSH, copied(b"1\n") + DONE + SYNC,
        run(COPY) + FLUSH, copied(b"x\n") + DONE + parse("SELECT 1") + SYNC,
        run(COPY) + FLUSH, GIVEN_UP + SYNC,
        ROWS,
    ],
    "copies in of a block": [query("BEGIN"), query(COPY), GIVEN_UP, query("SELECT 1"), query("ROLLBACK")],
    "what is left of a copy": [copied(b"1\n") + DONE + GIVEN_UP + query("SELECT 1"), message(b"c", b"x") + query("SELECT 1")],
}


class Side:
    """One server."""

    def __init__(self, dsn):
        self.dsn = f"{dsn} sslmode=disable".encode()

    def tell(self, text):
        connection = self._connect()
        done = connection.exec_(text.encode())
        assert done.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK), done.error_message
        connection.finish()

    def hold(self, conversation):
        """Returns the shapes of the answers to each exchange, as far as the server goes."""
        connection = self._connect()
        raw = socket.socket(fileno=os.dup(connection.socket))
        raw.setblocking(True)
        raw.settimeout(ANSWER_TIMEOUT_S)
        heard = []
        with raw, raw.makefile("rb") as replies:
            for exchange in conversation:
                raw.sendall(exchange)
                heard.append(list(self._answer(replies)))
                if heard[-1][-1] == "closed":
                    break
            else:
                raw.sendall(GOODBYE)
        connection.finish()
        return heard

    def _connect(self):
        connection = pq.PGconn.connect(self.dsn)
        assert connection.status == pq.ConnStatus.OK, connection.error_message
        return connection

    @staticmethod
    def _answer(replies):
        while head := replies.read(5):
            kind, body = head[:1], replies.read(struct.unpack("!i", head[1:])[0] - 4)
            if kind != b"S":
                yield shape(kind, body)
            if kind in (b"Z", b"G"):
                return
        yield "closed"


def shape(kind, body):
    if kind in (b"E", b"N"):
        fields = {field[:1]: field[1:].decode() for field in body.split(b"\0") if field}
        return f"{fields[b'V']} {fields[b'C']}"
    if kind in (b"C", b"Z"):
        return f"{kind.decode()} {body.rstrip(bytes(1)).decode()}"
    return f"{kind.decode()} {body.hex()}" if kind in (b"D", b"t") else kind.decode()
