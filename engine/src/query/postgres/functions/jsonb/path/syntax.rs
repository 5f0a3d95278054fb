//! How a path is written: `strict $.items[*] ? (@.price > 10 && exists(@.sku)).name`.

use datafusion::common::{DataFusionError, Result};
use udfs::{Json, Keeping, View};

use super::node::{Comparison, DEEPEST, Method, Node, Operator, Path, Place, Step};
use super::pattern::Pattern;
use crate::Error;
use crate::query::postgres::functions::failure;

/// How deep brackets may nest.
const DEPTH_MAX: usize = 64;
/// How many conditions may be joined: each is one level of a tree.
const JOINED_MAX: usize = 256;
/// What ends a name that is not in quotes.
const SPECIAL: &str = "?%$.[]{}()|&!=<>@#,*:-+/\"\\";

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// SQLSTATE 42601 if it is none, 0A000 for what is not built of it.
    pub(super) fn parse(text: &str) -> Result<Path> {
        let mut reader = Reader { rest: text, depth: 0, joined: 0, filters: 0, brackets: 0 };
        let strict = reader.word("strict");
        if !strict {
            reader.word("lax");
        }
        let top = reader.or()?;
        match reader.peek() {
            None => Ok(Path { strict, top }),
            Some(_) => Err(reader.refused()),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    joined: usize,
    /// Filters that are open: what `@` is.
    filters: usize,
    /// Brackets around places that are open: what `last` is.
    brackets: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.refused()) }
    }

    fn refused(&mut self) -> DataFusionError {
        let message = match self.peek() {
            None => "syntax error at end of jsonpath input".to_owned(),
            Some(next) => format!("syntax error at or near \"{next}\" of jsonpath input"),
        };
        syntax(message)
    }

    /// The name or the word that comes next, without taking it.
    fn next_word(&mut self) -> &'a str {
        self.peek();
        let ends = |letter: char| letter.is_whitespace() || SPECIAL.contains(letter);
        &self.rest[..self.rest.find(ends).unwrap_or(self.rest.len())]
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.next_word() == word;
        if found {
            self.rest = &self.rest[word.len()..];
        }
        found
    }

    fn deepen(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(unsupported("nesting this deep")) } else { Ok(()) }
    }

    fn or(&mut self) -> Result<Node> {
        self.deepen()?;
        let mut left = self.and()?;
        while self.take("||") {
            let right = self.and()?;
            left = Node::Or(self.truth(left)?, self.truth(right)?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Node> {
        let mut left = self.comparison()?;
        while self.take("&&") {
            let right = self.comparison()?;
            left = Node::And(self.truth(left)?, self.truth(right)?);
        }
        Ok(left)
    }

    fn truth(&mut self, node: Node) -> Result<Box<Node>> {
        self.part(node, true)
    }

    /// A part of what is joined by operators, which is a condition or is none.
    fn part(&mut self, node: Node, is_predicate: bool) -> Result<Box<Node>> {
        self.joined += 1;
        if self.joined > 2 * JOINED_MAX {
            return Err(unsupported("so many conditions"));
        }
        if node.is_predicate() == is_predicate { Ok(Box::new(node)) } else { Err(self.refused()) }
    }

    fn sum(&mut self) -> Result<Node> {
        let mut left = self.product()?;
        while let Some(operator) = self.one_of(&Operator::ADDING) {
            let right = self.product()?;
            left = Node::Math(operator, self.part(left, false)?, self.part(right, false)?);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node> {
        let mut left = self.signed()?;
        while let Some(operator) = self.one_of(&Operator::MULTIPLYING) {
            let right = self.signed()?;
            left = Node::Math(operator, self.part(left, false)?, self.part(right, false)?);
        }
        Ok(left)
    }

    fn one_of(&mut self, operators: &[Operator]) -> Option<Operator> {
        operators.iter().copied().find(|operator| self.take(operator.symbol()))
    }

    fn signed(&mut self) -> Result<Node> {
        let Some(sign) = self.one_of(&Operator::ADDING) else { return self.operand() };
        let is_minus = sign == Operator::Minus;
        self.deepen()?;
        let inner = self.signed()?;
        self.depth -= 1;
        Ok(match inner {
            Node::Number(number) if !is_minus => Node::Number(number),
            Node::Number(number) if !number.starts_with('-') => Node::Number(format!("-{number}")),
            inner => Node::Sign(is_minus, self.part(inner, false)?),
        })
    }

    fn comparison(&mut self) -> Result<Node> {
        if !self.rest.trim_start().starts_with("!=") && self.take("!") {
            // It takes what is in brackets, and not a comparison.
            let inner = self.operand()?;
            return Ok(Node::Not(self.truth(inner)?));
        }
        let left = self.sum()?;
        if left.is_predicate() {
            if !self.word("is") {
                return Ok(left);
            }
            return match self.word("unknown") {
                true => Ok(Node::IsUnknown(Box::new(left))),
                false => Err(self.refused()),
            };
        }
        if self.word("starts") {
            if !self.word("with") {
                return Err(self.refused());
            }
            let start = self.operand()?;
            return match start {
                Node::Text(_) | Node::Variable(_) => {
                    Ok(Node::StartsWith(Box::new(left), Box::new(start)))
                }
                _ => Err(self.refused()),
            };
        }
        if self.word("like_regex") {
            let written = self.text()?;
            let flags = if self.word("flag") { self.text()? } else { String::new() };
            return Ok(Node::Like(Box::new(left), Pattern::new(written, flags)?));
        }
        let Some(comparison) = self.operator() else { return Ok(left) };
        let right = self.sum()?;
        if right.is_predicate() {
            return Err(self.refused());
        }
        Ok(Node::Compare(comparison, Box::new(left), Box::new(right)))
    }

    fn operator(&mut self) -> Option<Comparison> {
        const OPERATORS: [(&str, Comparison); 7] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<>", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        OPERATORS.into_iter().find(|(symbol, _)| self.take(symbol)).map(|(_, found)| found)
    }

    /// What is compared, or a predicate in brackets.
    fn operand(&mut self) -> Result<Node> {
        let node = match self.peek() {
            Some('$') => {
                self.take("$");
                self.variable()?
            }
            Some('@') if self.filters > 0 && self.brackets > 0 => {
                return Err(unsupported("@ between brackets"));
            }
            Some('@') if self.filters > 0 => {
                self.take("@");
                Node::Current
            }
            Some('@') => return Err(syntax("@ is not allowed in root expressions".to_owned())),
            Some('(') => {
                self.take("(");
                let inner = self.or()?;
                self.expect(")")?;
                inner
            }
            Some('"') => Node::Text(self.quoted()?),
            Some('0'..='9') => Node::Number(self.number()?),
            _ => self.named()?,
        };
        let steps = self.steps()?;
        Ok(if steps.is_empty() { node } else { Node::Steps(Box::new(node), steps) })
    }

    /// What stands behind a dollar.
    fn variable(&mut self) -> Result<Node> {
        // A blank ends the root.
        if self.rest.starts_with(char::is_whitespace) {
            return Ok(Node::Root);
        }
        if self.rest.starts_with('"') {
            return Ok(Node::Variable(self.quoted()?));
        }
        let name = self.next_word();
        self.rest = &self.rest[name.len()..];
        Ok(if name.is_empty() { Node::Root } else { Node::Variable(name.to_owned()) })
    }

    fn named(&mut self) -> Result<Node> {
        for (word, node) in
            [("null", Node::Null), ("true", Node::Bool(true)), ("false", Node::Bool(false))]
        {
            if self.word(word) {
                return Ok(node);
            }
        }
        if self.word("last") {
            return match self.brackets {
                0 => Err(syntax("LAST is allowed only in array subscripts".to_owned())),
                _ => Ok(Node::Last),
            };
        }
        if !self.word("exists") {
            return Err(self.refused());
        }
        self.expect("(")?;
        let inner = self.or()?;
        self.expect(")")?;
        Ok(Node::Exists(Box::new(inner)))
    }

    /// A text in quotes, and nothing else.
    fn text(&mut self) -> Result<String> {
        if self.peek() == Some('"') { self.quoted() } else { Err(self.refused()) }
    }

    /// A text in quotes, which is written as in JSON.
    fn quoted(&mut self) -> Result<String> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, letter)| {
            let ends = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            return Err(syntax("unterminated quoted string of jsonpath input".to_owned()));
        };
        let (text, rest) = self.rest.split_at(end + 1);
        let json = Json::parse(text, Keeping::Everything);
        let said = json.as_ref().and_then(|json| match json.root().view() {
            View::Text(said) => Some(said.to_owned()),
            _ => None,
        });
        match said {
            Some(said) => {
                self.rest = rest;
                Ok(said)
            }
            None => Err(self.refused()),
        }
    }

    fn number(&mut self) -> Result<String> {
        let mut before = ' ';
        let ends = self.rest.find(|letter: char| {
            let sign = matches!(letter, '+' | '-') && matches!(before, 'e' | 'E');
            let within = letter.is_ascii_alphanumeric() || letter == '.' || sign;
            before = letter;
            !within
        });
        let (digits, rest) = self.rest.split_at(ends.unwrap_or(self.rest.len()));
        if Json::parse(digits, Keeping::Values).is_none() {
            return Err(self.refused());
        }
        self.rest = rest;
        Ok(digits.to_owned())
    }

    fn steps(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.take(".") {
                steps.push(self.member()?);
            } else if self.take("[") {
                steps.push(self.elements()?);
            } else if self.take("?") {
                self.expect("(")?;
                self.filters += 1;
                let condition = self.or()?;
                self.filters -= 1;
                steps.push(Step::Filter(*self.truth(condition)?));
                self.expect(")")?;
            } else {
                return Ok(steps);
            }
        }
    }

    fn member(&mut self) -> Result<Step> {
        if self.take("**") {
            return self.depths();
        }
        if self.take("*") {
            return Ok(Step::AnyMember);
        }
        if self.peek() == Some('"') {
            return Ok(Step::Member(self.quoted()?));
        }
        let name = self.next_word();
        if name.is_empty() {
            return Err(self.refused());
        }
        self.rest = &self.rest[name.len()..];
        if !self.take("(") {
            return Ok(Step::Member(name.to_owned()));
        }
        let method = match (name, Method::ALL.into_iter().find(|method| method.name() == name)) {
            (_, Some(method)) => Step::Of(method),
            ("type", _) => Step::Type,
            ("size", _) => Step::Size,
            (other, _) => return Err(unsupported(&format!("method .{other}()"))),
        };
        self.expect(")")?;
        Ok(method)
    }

    /// From which depth to which, behind `**`: all of them, unless brackets say it.
    fn depths(&mut self) -> Result<Step> {
        if !self.take("{") {
            return Ok(Step::Within(0, DEEPEST));
        }
        let from = self.level()?;
        let to = if self.word("to") { self.level()? } else { from };
        self.expect("}")?;
        Ok(Step::Within(from, to))
    }

    fn level(&mut self) -> Result<u32> {
        if self.word("last") {
            return Ok(DEEPEST);
        }
        let word = self.next_word();
        let Ok(level) = word.parse::<u32>() else { return Err(self.refused()) };
        self.rest = &self.rest[word.len()..];
        Ok(level)
    }

    fn elements(&mut self) -> Result<Step> {
        if self.take("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        let mut places = Vec::new();
        self.brackets += 1;
        loop {
            let from = self.place()?;
            let to = if self.word("to") { self.place()? } else { from.alone() };
            places.push((from, to));
            if !self.take(",") {
                self.expect("]")?;
                self.brackets -= 1;
                return Ok(Step::Elements(places));
            }
        }
    }

    fn place(&mut self) -> Result<Place> {
        self.deepen()?;
        let node = self.sum()?;
        self.depth -= 1;
        let number = |node: &Node| match node {
            Node::Number(number) => number.parse::<i32>().ok().map(i64::from),
            _ => None,
        };
        let known = match &node {
            Node::Last => Some(Place::BeforeLast(0)),
            Node::Math(Operator::Minus, left, right) if **left == Node::Last => {
                number(right).map(Place::BeforeLast)
            }
            node => number(node).map(Place::At),
        };
        match known {
            Some(place) => Ok(place),
            None if node.is_predicate() => Err(self.refused()),
            None => Ok(Place::Of(node)),
        }
    }
}

pub(super) fn syntax(message: String) -> DataFusionError {
    let hint = "A path is written as '$.items[*] ? (@.price > 10).name'.".to_owned();
    failure(Error::Standard { sqlstate: "42601", message, hint })
}

pub(super) fn unsupported(what: &str) -> DataFusionError {
    let hint = "Paths have members, elements, arithmetic, filters of comparisons, exists(), starts with and like_regex, .**, .type(), .size(), .double(), .abs(), .floor() and .ceiling(); take the rest with jsonb_array_elements() and SQL.".to_owned();
    failure(Error::Unsupported { what: format!("{what} in a jsonpath"), hint })
}
