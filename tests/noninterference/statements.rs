//! Random statements over what the analyst can see.

use super::Statement;
use super::pair::Pair;
use super::probes;
use super::random::Random;
use super::relations::{Column, Kind, Relation};

/// Rounds of the probes among many statements.
const PROBE_ROUNDS: usize = 4;

const NUMBERS: [Kind; 2] = [Kind::Whole, Kind::Number];
const EVERY: [Kind; 5] = [Kind::Whole, Kind::Number, Kind::Text, Kind::Time, Kind::Other];

/// Returns so many statements: all probes, and random ones.
pub(super) fn of(pair: &Pair, random: &mut Random, count: usize) -> Vec<Statement> {
    let rounds = if count > 1_000 { PROBE_ROUNDS } else { 1 };
    let mut statements = probes::of(pair, random, rounds);
    let mut maker = Maker { pair, random };
    while statements.len() < count {
        statements.push(maker.statement());
    }
    statements
}

/// Tells whether the answer is the same when several partitions race: nothing takes the first rows that come, nothing adds
/// floating-point numbers up.
pub(super) fn is_settled(statement: &Statement) -> bool {
    let sql = &statement.sql;
    let takes_first = sql.contains("LIMIT") && !sql.contains("ORDER BY");
    let floats =
        ["double precision", "stddev", "corr(", "avg("].iter().any(|word| sql.contains(word));
    !takes_first && !floats
}

struct Maker<'a> {
    pair: &'a Pair,
    random: &'a mut Random,
}

impl<'a> Maker<'a> {
    fn statement(&mut self) -> Statement {
        let (sql, ordered) = match self.random.below(14) {
            0..3 => self.projection(),
            3..5 => (self.grouped(), true),
            5..7 => (self.totals(), true),
            7 => (self.joined(), true),
            8 => (self.windowed(), true),
            9 => (self.combined(), true),
            10 => (self.filtered_by_subquery(), true),
            11 => (self.common_table(), true),
            12 => (self.fragile(), false),
            _ => (self.nested(), true),
        };
        match self.random.one_in(25) {
            true => Statement { sql: format!("EXPLAIN {sql}"), ordered: true },
            false => Statement { sql, ordered },
        }
    }

    fn relation(&mut self) -> &'a Relation {
        // The unified profile is what most people ask about.
        match self.random.one_in(3) {
            true => self
                .pair
                .relations
                .iter()
                .find(|relation| relation.name == "public.profiles")
                .unwrap(),
            false => self.random.pick(&self.pair.relations),
        }
    }

    fn column(&mut self, relation: &'a Relation, kinds: &[Kind]) -> &'a Column {
        match relation.column(self.random, kinds) {
            Some(column) => column,
            None => &relation.columns[0],
        }
    }

    fn literal(&mut self, relation: &Relation, column: &Column) -> String {
        self.pair.literals.pick(self.random, &relation.name, column)
    }

    /// `t.column op value`, or something like it.
    fn comparison(&mut self, relation: &'a Relation, alias: &str) -> String {
        let column = self.column(relation, &EVERY);
        let name = format!("{alias}.{}", column.name);
        let value = self.literal(relation, column);
        if column.kind == Kind::Text {
            let start: String = value
                .trim_matches('\'')
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(3)
                .collect();
            let text = format!("{name}::text");
            return match self.random.below(7) {
                0 => format!("{text} LIKE '{start}%'"),
                1 => format!("{text} ~ '^{start}'"),
                2 => format!("{text} NOT LIKE '%{start}%'"),
                3 => format!("length({text}) > {}", self.random.below(30)),
                4 => format!("upper({text}) = upper({value})"),
                5 => format!(
                    "substr({text}, 1, 2) = '{}'",
                    start.chars().take(2).collect::<String>()
                ),
                _ => format!("{name} = {value}"),
            };
        }
        let operator = *self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
        let other = self.literal(relation, column);
        match self.random.below(6) {
            0 => format!("{name} IS NULL"),
            1 => format!("{name} BETWEEN {value} AND {other}"),
            2 => format!("{name} IN ({value}, {other})"),
            3 => format!("{name} NOT IN ({value}, {other})"),
            _ => format!("{name} {operator} {value}"),
        }
    }

    fn condition(&mut self, relation: &'a Relation, alias: &str) -> String {
        let first = self.comparison(relation, alias);
        match self.random.below(4) {
            0 => format!("{first} AND {}", self.comparison(relation, alias)),
            1 => format!("({first} OR {})", self.comparison(relation, alias)),
            2 => format!("NOT ({first})"),
            _ => first,
        }
    }

    /// An aggregate of some column; some of them over floating-point numbers.
    fn aggregate(&mut self, relation: &'a Relation, alias: &str) -> String {
        let number = format!("{alias}.{}", self.column(relation, &NUMBERS).name);
        let any = format!(
            "{alias}.{}",
            self.column(relation, &[Kind::Whole, Kind::Number, Kind::Time, Kind::Text]).name
        );
        match self.random.below(10) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {any}::text)"),
            2 => format!("min({any}::text)"),
            3 => format!("max({any}::text)"),
            4 => format!("sum({number})"),
            5 => format!("sum({number}::double precision)"),
            6 => format!("avg({number}::double precision)"),
            7 => format!("stddev({number}::double precision)"),
            8 => format!("count(*) FILTER (WHERE {})", self.comparison(relation, alias)),
            _ => format!("sum(CASE WHEN {} THEN 1 ELSE 0 END)", self.comparison(relation, alias)),
        }
    }

    fn projection(&mut self) -> (String, bool) {
        let relation = self.relation();
        let columns: Vec<String> = (0..=self.random.below(4))
            .map(|_| format!("t.{}", self.column(relation, &EVERY).name))
            .collect();
        let columns = columns.join(", ");
        let condition = self.condition(relation, "t");
        let all: Vec<String> =
            (1..=columns.split(", ").count()).map(|position| position.to_string()).collect();
        let base = format!("SELECT {columns} FROM {} t WHERE {condition}", relation.name);
        match self.random.below(3) {
            0 => (base, false),
            1 => (
                format!("{base} ORDER BY {} LIMIT {}", all.join(", "), 1 + self.random.below(20)),
                true,
            ),
            _ => (
                format!(
                    "SELECT DISTINCT {columns} FROM {} t WHERE {condition} ORDER BY {}",
                    relation.name,
                    all.join(", ")
                ),
                true,
            ),
        }
    }

    fn grouped(&mut self) -> String {
        let relation = self.relation();
        let by = format!("t.{}", self.column(relation, &EVERY).name);
        let (one, two) = (self.aggregate(relation, "t"), self.aggregate(relation, "t"));
        let condition = self.condition(relation, "t");
        let having = if self.random.one_in(3) { " HAVING count(*) > 1" } else { "" };
        format!(
            "SELECT {by}, {one}, {two} FROM {} t WHERE {condition} GROUP BY {by}{having} ORDER BY 1",
            relation.name
        )
    }

    fn totals(&mut self) -> String {
        let relation = self.relation();
        let aggregates: Vec<String> =
            (0..=self.random.below(4)).map(|_| self.aggregate(relation, "t")).collect();
        let condition = if self.random.one_in(2) {
            format!(" WHERE {}", self.condition(relation, "t"))
        } else {
            String::new()
        };
        format!("SELECT {} FROM {} t{condition}", aggregates.join(", "), relation.name)
    }

    fn joined(&mut self) -> String {
        let (left, right) = (self.relation(), self.relation());
        let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let (one, two) = (self.aggregate(left, "a"), self.aggregate(right, "b"));
        let condition = self.condition(left, "a");
        let by = self.column(left, &[Kind::Text, Kind::Whole]);
        format!(
            "SELECT a.{by}, {one}, {two} FROM {} a {kind} {} b ON a.profile_id = b.profile_id WHERE {condition} GROUP BY a.{by} ORDER BY 1 LIMIT 50",
            left.name,
            right.name,
            by = by.name
        )
    }

    fn windowed(&mut self) -> String {
        let relation = self.relation();
        let number = self.column(relation, &NUMBERS).name.clone();
        let columns: Vec<String> =
            relation.columns.iter().map(|column| format!("t.{}::text", column.name)).collect();
        let order = columns.join(", ");
        let window = match self.random.below(4) {
            0 => format!("row_number() OVER (ORDER BY {order})"),
            1 => format!("rank() OVER (PARTITION BY t.profile_id ORDER BY {order})"),
            2 => format!("sum(t.{number}) OVER (PARTITION BY t.profile_id)"),
            _ => format!("lag(t.{number}) OVER (ORDER BY {order})"),
        };
        let condition = self.condition(relation, "t");
        format!(
            "SELECT t.profile_id, t.{number}, {window} AS w FROM {} t WHERE {condition} ORDER BY 1, 2, 3 LIMIT 40",
            relation.name
        )
    }

    fn combined(&mut self) -> String {
        let (left, right) = (self.relation(), self.relation());
        let operator = *self.random.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        let (one, two) = (self.condition(left, "a"), self.condition(right, "b"));
        format!(
            "SELECT a.profile_id FROM {} a WHERE {one} {operator} SELECT b.profile_id FROM {} b WHERE {two} ORDER BY 1",
            left.name, right.name
        )
    }

    fn filtered_by_subquery(&mut self) -> String {
        let (outer, inner) = (self.relation(), self.relation());
        let condition = self.condition(inner, "i");
        let aggregate = self.aggregate(outer, "o");
        let filter = match self.random.below(4) {
            0 => format!(
                "EXISTS (SELECT 1 FROM {} i WHERE i.profile_id = o.profile_id AND {condition})",
                inner.name
            ),
            1 => format!(
                "NOT EXISTS (SELECT 1 FROM {} i WHERE i.profile_id = o.profile_id AND {condition})",
                inner.name
            ),
            2 => format!(
                "o.profile_id IN (SELECT i.profile_id FROM {} i WHERE {condition})",
                inner.name
            ),
            _ => format!(
                "o.profile_id NOT IN (SELECT i.profile_id FROM {} i WHERE {condition})",
                inner.name
            ),
        };
        format!("SELECT count(*), {aggregate} FROM {} o WHERE {filter}", outer.name)
    }

    fn common_table(&mut self) -> String {
        let relation = self.relation();
        let (condition, aggregate) = (self.condition(relation, "t"), self.aggregate(relation, "t"));
        format!(
            "WITH one AS (SELECT t.profile_id, {aggregate} AS value FROM {} t WHERE {condition} GROUP BY t.profile_id) \
             SELECT count(*), count(value), min(value::text), max(value::text) FROM one",
            relation.name
        )
    }

    fn nested(&mut self) -> String {
        let relation = self.relation();
        let column = self.column(relation, &EVERY).name.clone();
        let (condition, number) = (self.condition(relation, "t"), 1 + self.random.below(9));
        format!(
            "SELECT count(*), min(x::text), max(x::text) FROM (SELECT t.{column} AS x FROM {} t WHERE {condition} ORDER BY t.{column}::text LIMIT {number}) s",
            relation.name
        )
    }

    /// A statement that fails for some values of some people.
    fn fragile(&mut self) -> String {
        let relation = self.relation();
        let column = self.column(relation, &EVERY);
        let (name, condition) = (format!("t.{}", column.name), self.condition(relation, "t"));
        let number = format!("t.{}", self.column(relation, &NUMBERS).name);
        let value = self.literal(relation, column);
        match self.random.below(6) {
            0 => format!(
                "SELECT 1 / (CASE WHEN {name} = {value} THEN 0 ELSE 1 END) FROM {} t",
                relation.name
            ),
            1 => format!(
                "SELECT CAST({name}::text AS bigint) FROM {} t WHERE {condition}",
                relation.name
            ),
            2 => format!(
                "SELECT CAST({number} AS smallint) FROM {} t WHERE {condition}",
                relation.name
            ),
            3 => format!(
                "SELECT count(*) FROM {} t WHERE CAST({name}::text AS date) > DATE '2026-01-01'",
                relation.name
            ),
            4 => format!(
                "SELECT count(*) FROM {} t WHERE CASE WHEN {condition} THEN 1 / ({number} - {number}) ELSE 1 END = 1",
                relation.name
            ),
            _ => format!("SELECT (SELECT {name} FROM {} t WHERE {condition})", relation.name),
        }
    }
}
