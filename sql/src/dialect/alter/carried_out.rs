//! An alteration carried out: what becomes of a stored definition, or why nothing can.

use engine::catalog::{Body, Definition, IdentityGraph};
use engine::identity::Rules;

use super::super::create::graph::{self, Rule};
use super::super::cursor::Cursor;
use super::super::error::{
    DEPENDENT_OBJECTS, DUPLICATE_OBJECT, INVALID_PARAMETER_VALUE, ParseError, UNDEFINED_OBJECT,
    WRONG_OBJECT_TYPE,
};
use super::super::lexer::tokenize;
use super::super::statement::Statement;
use super::super::{nearest, parse};
use super::layout::{Layout, with_clauses};
use super::{Action, Alteration, Clause, EXACT, List, Point};

/// Why a definition cannot be altered so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The SQLSTATE.
    pub(crate) sqlstate: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do; empty if there is nothing to say.
    pub(crate) hint: String,
    /// Which action it is.
    pub(crate) at: Option<Point>,
}

impl Refusal {
    fn new(sqlstate: &'static str, message: String, hint: impl Into<String>) -> Refusal {
        Refusal { sqlstate, message, hint: hint.into(), at: None }
    }

    fn at(self, at: Point) -> Refusal {
        Refusal { at: Some(at), ..self }
    }
}

/// What cannot be read stands in a text of which the statement has parts at most.
impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Refusal {
        Refusal::new(error.sqlstate, error.message, error.hint.unwrap_or_default())
    }
}

impl Alteration {
    /// Returns what becomes of the stored definition of the graph.
    pub(crate) fn carried_out(&self, stored: &Definition) -> Result<Definition, Refusal> {
        let mut layout = Layout::of(&stored.sql)?;
        for (action, at) in &self.actions {
            self.carry_out(action, &mut layout).map_err(|refusal| refusal.at(*at))?;
        }
        if layout.names(List::Identifiers).next().is_none() {
            let message = format!("identity graph \"{}\" would have no identifier", self.name);
            let hint = "Add another one in the same statement: ADD IDENTIFIER name PRIORITY 1.";
            let at = self.dropped().last().map(|(_, at)| at);
            return Err(Refusal { at, ..Refusal::new(INVALID_PARAMETER_VALUE, message, hint) });
        }
        let mut read = parse(&layout.text())?;
        let definition = match read.pop().map(|parsed| parsed.statement) {
            Some(Statement::Create { definition, .. }) => *definition,
            _ => return Err(self.unreadable()),
        };
        let Body::IdentityGraph(graph) = &definition.body else { return Err(self.unreadable()) };
        self.check_unused(graph)?;
        // Nobody says anything else of it.
        Ok(Definition { comment: stored.comment.clone(), ..definition })
    }

    fn carry_out(&self, action: &Action, layout: &mut Layout) -> Result<(), Refusal> {
        match action {
            Action::Add(list, name, text) => {
                if layout.names(*list).any(|there| there == name) {
                    return Err(self.exists(*list, name));
                }
                let is_fuzzy =
                    |text: &str| rule_of(text).map(|rule| matches!(rule, Rule::Fuzzy(_)));
                if *list == List::Rules && is_fuzzy(text)? {
                    for rule in layout.items(List::Rules) {
                        if is_fuzzy(&rule.text)? {
                            let message = graph::SECOND_FUZZY.to_owned();
                            let hint = graph::SECOND_FUZZY_HINT;
                            return Err(Refusal::new(DUPLICATE_OBJECT, message, hint));
                        }
                    }
                }
                layout.add(*list, name, text);
            }
            Action::Put(list, name, text) => match layout.item(*list, name) {
                Some(item) => item.text.clone_from(text),
                None => layout.add(*list, name, text),
            },
            Action::Drop(list, name) => {
                if !layout.remove(*list, name) {
                    return Err(self.missing(*list, name, layout));
                }
            }
            Action::Reset(list, name) => {
                layout.remove(*list, name);
            }
            Action::Alter(list, name, clauses) => match layout.item(*list, name) {
                Some(item) => item.text = altered(*list, &item.text, clauses)?,
                None => return Err(self.missing(*list, name, layout)),
            },
        }
        Ok(())
    }

    /// Fails if a rule compares an identifier that is dropped.
    fn check_unused(&self, graph: &IdentityGraph) -> Result<(), Refusal> {
        // A name that a field of the person has, too, means the field.
        if Rules::from_graph(graph).is_ok() {
            return Ok(());
        }
        for (kind, at) in self.dropped() {
            if graph.identifiers.iter().any(|rule| rule.kind == kind) {
                continue;
            }
            let exact =
                graph.matches.iter().filter(|rule| rule.exact_on.iter().any(|on| on == kind));
            let fuzzy = graph
                .fuzzy
                .iter()
                .filter(|rule| rule.block_on.iter().flatten().any(|part| part.of == kind));
            let names = exact.map(|rule| &rule.name).chain(fuzzy.map(|rule| &rule.name));
            let rules: Vec<String> = names.map(|name| format!("rule \"{name}\"")).collect();
            if !rules.is_empty() {
                let by = rules.join(", ");
                let message = format!("cannot drop identifier \"{kind}\": it is used by {by}");
                let hint = "Change what uses it in the same statement: DROP MATCH name, or ALTER MATCH name with other fields.";
                return Err(Refusal::new(DEPENDENT_OBJECTS, message, hint).at(at));
            }
        }
        Ok(())
    }

    /// Returns the identifiers that are dropped, and where.
    fn dropped(&self) -> impl Iterator<Item = (&str, Point)> {
        self.actions.iter().filter_map(|(action, at)| match action {
            Action::Drop(List::Identifiers, name) => Some((name.as_str(), *at)),
            _ => None,
        })
    }

    fn exists(&self, list: List, name: &str) -> Refusal {
        let (graph, word, keyword) = (&self.name, list.word(), list.keywords().0);
        let message = format!("{word} \"{name}\" of identity graph \"{graph}\" already exists");
        let hint = format!("ALTER {keyword} {name} SET ... changes it.");
        Refusal::new(DUPLICATE_OBJECT, message, hint)
    }

    fn missing(&self, list: List, name: &str, layout: &Layout) -> Refusal {
        let (graph, word) = (&self.name, list.word());
        let message = format!("{word} \"{name}\" of identity graph \"{graph}\" does not exist");
        let hint = match nearest(name, layout.names(list)) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("SHOW CREATE IDENTITY GRAPH {graph} shows what there is."),
        };
        Refusal::new(UNDEFINED_OBJECT, message, hint)
    }

    fn unreadable(&self) -> Refusal {
        let message = format!("the definition of identity graph \"{}\" cannot be read", self.name);
        let hint = "Define it whole, with CREATE OR REPLACE IDENTITY GRAPH.";
        Refusal::new("XX001", message, hint)
    }
}

/// Returns what an item says once clauses of it are changed.
fn altered(list: List, text: &str, changes: &[Clause]) -> Result<String, Refusal> {
    if list == List::Rules {
        check_fit(&rule_of(text)?, changes)?;
    }
    let altered = with_clauses(text, list.clauses(), changes)?;
    match list {
        List::Rules => drop(rule_of(&altered)?),
        List::Identifiers | List::Options => drop(whole(&altered, graph::identifier_rule)?),
    }
    Ok(altered)
}

/// Fails if a clause is none of a rule of this kind.
fn check_fit(rule: &Rule, changes: &[Clause]) -> Result<(), Refusal> {
    let name = rule.name();
    for Clause { words, text } in changes {
        let (fits, wanted, hint) = match rule {
            Rule::Exact(_) => {
                let fits = text.is_some() && [EXACT, "priority"].contains(words);
                (fits, "FUZZY", "An EXACT rule has EXACT ON and PRIORITY, and needs both.")
            }
            Rule::Fuzzy(_) => (
                *words != EXACT,
                "EXACT",
                "A FUZZY rule has BLOCK ON, SCORE, REVIEW BELOW, HOUSEHOLD SCORE and PRIORITY.",
            ),
        };
        if !fits {
            let message = format!("rule \"{name}\" is not {wanted}");
            return Err(Refusal::new(WRONG_OBJECT_TYPE, message, hint));
        }
    }
    Ok(())
}

/// Reads a rule of `MATCH`.
fn rule_of(text: &str) -> Result<Rule, ParseError> {
    whole(text, |cursor| {
        let name = cursor.identifier("the name of a rule")?;
        graph::match_rule(cursor, name)
    })
}

/// Reads a text to its end.
fn whole<T>(
    text: &str,
    read: impl FnOnce(&mut Cursor<'_>) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    let lexemes = tokenize(text)?;
    let mut cursor = Cursor::new(text, &lexemes);
    let found = read(&mut cursor)?;
    cursor.expect_end()?;
    Ok(found)
}
