//! The parsed file as an owned tree that remembers where each value stands and which keys were asked for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One value and the byte at which it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) start: usize,
    pub(super) data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    Text(String),
    /// `None`: outside of 64 bits.
    Whole(Option<i128>),
    Flag(bool),
    List(Vec<Node>),
    Table(Rc<Fields>),
    /// A float or a date: no key of ours takes one.
    Other(&'static str),
}

/// The entries of one table.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Where the table's header or brace stands.
    pub(super) start: usize,
    pub(super) entries: Vec<Field>,
    /// Keys that the program asked for: the candidates for "did you mean".
    pub(super) asked: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) start: usize,
    pub(super) taken: Cell<bool>,
    pub(super) node: Node,
}

impl Fields {
    pub(super) fn new(start: usize, table: DeTable<'_>) -> Fields {
        let mut entries: Vec<Field> = table.into_iter().map(Field::new).collect();
        entries.sort_by_key(|field| field.start);
        Fields { start, entries, asked: RefCell::default() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Field> {
        self.entries.iter().find(|field| field.key == key)
    }

    /// The entry under `key`, from now on known and taken.
    pub(super) fn ask(&self, key: &str) -> Option<&Field> {
        let mut asked = self.asked.borrow_mut();
        if !asked.iter().any(|known| known == key) {
            asked.push(key.to_owned());
        }
        let field = self.get(key)?;
        field.taken.set(true);
        Some(field)
    }
}

impl Field {
    fn new((key, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)) -> Field {
        let start = key.span().start;
        Field { key: key.into_inner().into_owned(), start, taken: Cell::new(false), node: Node::new(value) }
    }
}

impl Node {
    fn new(value: Spanned<DeValue<'_>>) -> Node {
        let start = value.span().start;
        let data = match value.into_inner() {
            DeValue::String(text) => Data::Text(text.into_owned()),
            DeValue::Integer(number) => Data::Whole(i128::from_str_radix(number.as_str(), number.radix()).ok()),
            DeValue::Boolean(flag) => Data::Flag(flag),
            DeValue::Array(list) => Data::List(list.into_iter().map(Node::new).collect()),
            DeValue::Table(table) => Data::Table(Rc::new(Fields::new(start, table))),
            DeValue::Float(_) => Data::Other("a number with a point"),
            DeValue::Datetime(_) => Data::Other("a date"),
        };
        Node { start, data }
    }

    /// What the value is, as an operator would say it.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Text(_) => "text",
            Data::Whole(_) => "a number",
            Data::Flag(_) => "true or false",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
            Data::Other(kind) => kind,
        }
    }
}
