import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import org.postgresql.PGConnection;

/** pgjdbc as its users use it: metadata, types, parameters, cursors, transactions, timeouts. It says what is not as expected. */
public final class Client {
  interface Question {
    Object answer() throws Exception;
  }

  static final String ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
  static final List<String> wrong = new ArrayList<>();
  static String url;

  static void check(String what, Object expected, Question question) {
    Object found;
    try {
      found = question.answer();
    } catch (Exception failure) {
      found = failure;
    }
    if (!Objects.equals(expected, found)) {
      wrong.add(what + ": expected " + expected + ", found " + found);
    }
  }

  static Connection connect(String... options) throws SQLException {
    Properties properties = new Properties();
    properties.put("user", "engineer");
    properties.put("password", "demo");
    properties.put("ApplicationName", "a report");
    for (int i = 0; i < options.length; i += 2) {
      properties.put(options[i], options[i + 1]);
    }
    return DriverManager.getConnection(url, properties);
  }

  /** The values of some columns, row by row. Every other column is read as well. */
  static String rows(ResultSet rows, String... columns) throws SQLException {
    List<String> found = new ArrayList<>();
    int width = rows.getMetaData().getColumnCount();
    while (rows.next()) {
      for (int at = 1; at <= width; at++) {
        rows.getString(at);
      }
      List<String> row = new ArrayList<>();
      for (String column : columns) {
        row.add(rows.getString(column));
      }
      found.add(String.join(" ", row));
    }
    return String.join(", ", found);
  }

  static Object first(PreparedStatement statement) throws SQLException {
    try (ResultSet rows = statement.executeQuery()) {
      rows.next();
      Object value = rows.getObject(1);
      return value instanceof Array array ? Arrays.asList((Object[]) array.getArray()) : value;
    }
  }

  static Object first(Connection connection, String query) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(query)) {
      return first(statement);
    }
  }

  static int count(ResultSet rows) throws SQLException {
    int count = 0;
    while (rows.next()) {
      count++;
    }
    return count;
  }

  static String state(Question question) throws Exception {
    try {
      question.answer();
      return "no error";
    } catch (SQLException failure) {
      return failure.getSQLState();
    }
  }

  public static void main(String[] arguments) throws Exception {
    url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/onefold";
    try (Connection connection = connect()) {
      metadata(connection.getMetaData());
      types(connection);
      parameters(connection);
      cursors(connection);
      transactions(connection);
      stopping(connection);
      others(connection);
    }
    modes();
    if (!wrong.isEmpty()) {
      System.out.println(String.join("\n", wrong));
      System.exit(1);
    }
  }

  static void metadata(DatabaseMetaData data) {
    check("product", "PostgreSQL", data::getDatabaseProductName);
    check("schemas", true, () -> rows(data.getSchemas(), "TABLE_SCHEM").contains("public, segments, sources"));
    check("catalogs", "onefold", () -> rows(data.getCatalogs(), "TABLE_CAT"));
    check(
        "tables",
        "profiles TABLE one row for each person: golden values and traits",
        () -> rows(data.getTables(null, "public", "profiles", null), "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
    check(
        "views",
        "events_home VIEW",
        () -> rows(data.getTables(null, "public", "events\\_home", new String[] {"VIEW"}), "TABLE_NAME", "TABLE_TYPE"));
    check("all tables", true, () -> rows(data.getTables(null, null, "%", null), "TABLE_NAME").length() > 1000);
    check(
        "columns",
        "items int4 10 0 4 YES 6, amount numeric 12 2 2 YES 7",
        () ->
            rows(
                    data.getColumns(null, "sources", "shop\\_orders", null),
                    "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "DATA_TYPE", "IS_NULLABLE", "ORDINAL_POSITION")
                .replaceAll(".*(items.*), currency.*", "$1"));
    check("all columns", true, () -> rows(data.getColumns(null, null, "%", "%"), "COLUMN_NAME").length() > 1000);
    check(
        "primary key",
        "order_id 1 shop_orders_pkey",
        () -> rows(data.getPrimaryKeys(null, "sources", "shop_orders"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"));
    check(
        "indexes",
        "profiles_pkey profile_id f",
        () -> rows(data.getIndexInfo(null, "public", "profiles", false, true), "INDEX_NAME", "COLUMN_NAME", "NON_UNIQUE"));
    check("imported keys", "", () -> rows(data.getImportedKeys(null, "sources", "shop_orders"), "FKCOLUMN_NAME"));
    check("exported keys", "", () -> rows(data.getExportedKeys(null, "public", "profiles"), "FKCOLUMN_NAME"));
    check(
        "cross reference",
        "",
        () -> rows(data.getCrossReference(null, "public", "profiles", null, "sources", "shop_orders"), "FKCOLUMN_NAME"));
    check(
        "best row identifier",
        "profile_id",
        () -> rows(data.getBestRowIdentifier(null, "public", "profiles", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME"));
    check("types", true, () -> rows(data.getTypeInfo(), "TYPE_NAME").contains("timestamptz"));
    check("table types", true, () -> rows(data.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
    check("version columns", true, () -> rows(data.getVersionColumns(null, "public", "profiles"), "COLUMN_NAME") != null);
    check("privileges", true, () -> rows(data.getTablePrivileges(null, "public", "profiles"), "PRIVILEGE").contains("SELECT"));
    check("column privileges", true, () -> rows(data.getColumnPrivileges(null, "public", "profiles", "email"), "PRIVILEGE") != null);
    check("functions", true, () -> rows(data.getFunctions(null, null, "%"), "FUNCTION_NAME") != null);
    check("function columns", true, () -> rows(data.getFunctionColumns(null, null, "%", "%"), "COLUMN_NAME") != null);
    check("procedures", true, () -> rows(data.getProcedures(null, null, "%"), "PROCEDURE_NAME") != null);
    check("types of users", true, () -> rows(data.getUDTs(null, null, "%", null), "TYPE_NAME") != null);
  }

  static void types(Connection connection) {
    String[][] expressions = {
      {"2::int", "2"}, {"3::bigint", "3"}, {"1.50::numeric(10,2)", "1.50"}, {"2.5::float8", "2.5"}, {"true", "true"},
      {"'x'::text", "x"}, {"DATE '2026-01-02'", "2026-01-02"}, {"TIME '03:04:05'", "03:04:05"},
      {"TIMESTAMP '2026-01-02 03:04:05'", "2026-01-02 03:04:05.0"}, {"'{\"a\":1}'::json", "{\"a\":1}"},
      {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
      {"INTERVAL '1 day 2 hours'", "0 years 0 mons 1 days 2 hours 0 mins 0.0 secs"},
      {"ARRAY[1, 2, NULL]::int[]", "[1, 2, null]"}, {"ARRAY['a', 'b,c']", "[a, b,c]"}, {"NULL", "null"},
    };
    for (String[] expression : expressions) {
      check(expression[0], expression[1], () -> String.valueOf(first(connection, "SELECT " + expression[0])));
    }
    check(
        "columns of a result",
        "amount:numeric:12:2 ordered_at:timestamptz:35:6 channel:text:2147483647:0",
        () -> {
          try (Statement statement = connection.createStatement()) {
            ResultSetMetaData data =
                statement.executeQuery("SELECT amount, ordered_at, channel FROM sources.shop_orders LIMIT 1").getMetaData();
            List<String> found = new ArrayList<>();
            for (int at = 1; at <= 3; at++) {
              found.add(
                  data.getColumnName(at) + ":" + data.getColumnTypeName(at) + ":" + data.getPrecision(at) + ":" + data.getScale(at));
            }
            return String.join(" ", found);
          }
        });
  }

  static void parameters(Connection connection) throws SQLException {
    check(
        "arrays",
        Arrays.asList("a", null),
        () -> {
          PreparedStatement statement = connection.prepareStatement("SELECT ?");
          statement.setArray(1, connection.createArrayOf("text", new Object[] {"a", null}));
          return first(statement);
        });
    check(
        "filters",
        5291L,
        () -> {
          PreparedStatement statement =
              connection.prepareStatement(
                  "SELECT count(*) FROM sources.shop_orders WHERE items >= ? AND channel = ? AND ordered_at < ? AND amount > ?");
          statement.setInt(1, 2);
          statement.setString(2, "web");
          statement.setObject(3, OffsetDateTime.parse("2026-01-01T00:00:00Z"));
          statement.setBigDecimal(4, new BigDecimal("10.00"));
          return first(statement);
        });
    check(
        "counts of rows",
        "O0000003",
        () -> {
          PreparedStatement statement =
              connection.prepareStatement("SELECT order_id FROM sources.shop_orders ORDER BY order_id LIMIT ? OFFSET ?");
          statement.setInt(1, 1);
          statement.setLong(2, 2);
          return first(statement);
        });
    check(
        "a list",
        2L,
        () -> {
          PreparedStatement statement =
              connection.prepareStatement("SELECT count(*) FROM sources.shop_orders WHERE order_id = ANY(?)");
          statement.setArray(1, connection.createArrayOf("text", new Object[] {"O0000001", "O0000002"}));
          return first(statement);
        });
    check(
        "parameters and columns are described",
        "numeric order_id",
        () -> {
          PreparedStatement statement = connection.prepareStatement("SELECT order_id FROM sources.shop_orders WHERE amount > ?");
          return statement.getParameterMetaData().getParameterTypeName(1) + " " + statement.getMetaData().getColumnName(1);
        });
  }

  static void cursors(Connection connection) {
    check(
        "fetch size",
        "25659 25656",
        () -> {
          connection.setAutoCommit(false);
          Statement statement = connection.createStatement();
          statement.setFetchSize(1000);
          int all = count(statement.executeQuery("SELECT order_id FROM sources.shop_orders"));
          PreparedStatement prepared = connection.prepareStatement("SELECT order_id FROM sources.shop_orders WHERE profile_id > ?");
          prepared.setLong(1, 0);
          prepared.setFetchSize(1000);
          int some = count(prepared.executeQuery());
          connection.commit();
          connection.setAutoCommit(true);
          return all + " " + some;
        });
    check(
        "at most so many rows",
        7,
        () -> {
          Statement statement = connection.createStatement();
          statement.setMaxRows(7);
          return count(statement.executeQuery("SELECT order_id FROM sources.shop_orders"));
        });
    check(
        "scrolling",
        "10 1",
        () -> {
          Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
          ResultSet rows = statement.executeQuery("SELECT generate_series(1, 10)");
          rows.last();
          int last = rows.getInt(1);
          rows.first();
          return last + " " + rows.getInt(1);
        });
  }

  static void transactions(Connection connection) {
    check(
        "savepoints",
        "42703 7",
        () -> {
          connection.setAutoCommit(false);
          Savepoint before = connection.setSavepoint("before");
          String state = state(() -> connection.createStatement().executeQuery("SELECT nope FROM profiles"));
          connection.rollback(before);
          Object value = first(connection, "SELECT 7::int");
          connection.releaseSavepoint(before);
          connection.commit();
          connection.setAutoCommit(true);
          return state + " " + value;
        });
    check(
        "read only",
        1,
        () -> {
          connection.setReadOnly(true);
          connection.setAutoCommit(false);
          Object value = first(connection, "SELECT 1::int");
          connection.commit();
          connection.setAutoCommit(true);
          connection.setReadOnly(false);
          return value;
        });
    check(
        "isolation",
        "2 no error",
        () -> {
          connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
          int level = connection.getTransactionIsolation();
          return level + " " + state(() -> {
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            return null;
          });
        });
    check("nothing is written", "0A000", () -> state(() -> connection.createStatement().executeUpdate("DELETE FROM profiles")));
  }

  static void stopping(Connection connection) {
    check(
        "query timeout",
        "57014",
        () -> {
          Statement statement = connection.createStatement();
          statement.setQueryTimeout(1);
          return state(() -> statement.executeQuery(ENDLESS));
        });
    check(
        "cancel",
        "57014 1",
        () -> {
          Statement statement = connection.createStatement();
          Thread cancelling =
              new Thread(
                  () -> {
                    try {
                      // Cancelling before the query has begun would do nothing, so do it until it ends.
                      while (!Thread.interrupted()) {
                        Thread.sleep(100);
                        statement.cancel();
                      }
                    } catch (InterruptedException | SQLException ended) {
                      Thread.currentThread().interrupt();
                    }
                  });
          cancelling.start();
          String state = state(() -> statement.executeQuery(ENDLESS));
          cancelling.interrupt();
          cancelling.join();
          return state + " " + first(connection, "SELECT 1::int");
        });
  }

  static void others(Connection connection) {
    check(
        "schema and name",
        "cdp onefold true another",
        () -> {
          connection.setSchema("cdp");
          String schema = connection.getSchema();
          connection.setSchema("public");
          connection.setClientInfo("ApplicationName", "another");
          return schema + " " + connection.getCatalog() + " " + connection.isValid(2) + " " + first(connection, "SHOW application_name");
        });
    check(
        "several statements",
        2,
        () -> {
          Statement statement = connection.createStatement();
          statement.execute("SELECT 1::int; SELECT 2::int");
          statement.getMoreResults();
          ResultSet rows = statement.getResultSet();
          rows.next();
          return rows.getInt(1);
        });
    check("escapes", "abc 2026-01-02", () -> first(connection, "SELECT {fn lcase('ABC')} || ' ' || {d '2026-01-02'}::text"));
    check(
        "copy",
        "25659 25659",
        () -> {
          StringWriter text = new StringWriter();
          String copy = "COPY (SELECT order_id FROM sources.shop_orders) TO STDOUT";
          long count = connection.unwrap(PGConnection.class).getCopyAPI().copyOut(copy, text);
          return count + " " + text.toString().lines().count();
        });
  }

  static void modes() {
    for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
      check(
          "query mode " + mode,
          "5 a'b 2026-01-02",
          () -> {
            try (Connection connection = connect("preferQueryMode", mode)) {
              PreparedStatement statement = connection.prepareStatement("SELECT ?::int, ?::text, ? AS day");
              statement.setInt(1, 5);
              statement.setString(2, "a'b");
              statement.setObject(3, java.sql.Date.valueOf("2026-01-02"));
              ResultSet rows = statement.executeQuery();
              rows.next();
              return rows.getInt(1) + " " + rows.getString(2) + " " + rows.getString(3).substring(0, 10);
            }
          });
    }
    String[][] options = {
      {"binaryTransfer", "true"}, {"prepareThreshold", "-1"}, {"prepareThreshold", "0"}, {"currentSchema", "public,cdp"},
      {"readOnly", "true"}, {"options", "-c statement_timeout=5000"}, {"stringtype", "unspecified"},
      {"defaultRowFetchSize", "10"}, {"autosave", "always"}, {"adaptiveFetch", "true"}, {"targetServerType", "any"},
    };
    for (String[] option : options) {
      check(
          "option " + option[0] + "=" + option[1],
          25,
          () -> {
            try (Connection connection = connect(option)) {
              connection.setAutoCommit(false);
              PreparedStatement statement = connection.prepareStatement("SELECT n FROM generate_series(1, 25) AS g(n) WHERE n >= ?");
              statement.setInt(1, 1);
              int count = count(statement.executeQuery());
              connection.commit();
              return count;
            }
          });
    }
  }
}
