//! The file that is being read, and the tables of it that a program walks. Complaints gather on the way.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::complaint::{Complaint, Complaints};
use super::nearest::nearest;
use super::tree::{Data, Field, Fields};
use super::value::{FromValue, Value, Wrong};

/// A configuration file that is being read. Take everything from [`Document::root`], then ask [`Document::finish`].
#[derive(Debug)]
pub struct Document {
    file: Rc<File>,
    root: Table,
}

/// One table of it. Cheap to clone; it complains into its document.
#[derive(Debug, Clone)]
pub struct Table {
    file: Rc<File>,
    fields: Rc<Fields>,
    /// Dotted name of the table, empty for the root.
    path: String,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    folder: PathBuf,
    text: String,
    remarks: RefCell<Vec<Remark>>,
}

#[derive(Debug)]
struct Remark {
    start: usize,
    what: What,
    key: Option<String>,
    sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Syntax,
    Missing,
    Other,
    Warning,
}

impl Document {
    /// Reads the file. An error here means that there is nothing to look into: unreadable, too large, not UTF-8.
    /// Syntax errors are complaints like all others, told by [`Document::finish`].
    pub fn read(path: &Path) -> Result<Document, Complaints> {
        match sys::paths::read_config(path) {
            Ok(text) => Ok(Document::parse(path, text)),
            Err(error) => {
                let sentence = format!("cannot be read: {error}");
                Err(Complaints(vec![Complaint { file: path.to_owned(), at: None, key: None, sentence }]))
            }
        }
    }

    /// The same for text at hand; `path` is for the complaints and for the folder of relative paths.
    pub fn parse(path: &Path, text: String) -> Document {
        let (root, errors) = toml::de::DeTable::parse_recoverable(&text);
        let root = Rc::new(Fields::new(0, root.into_inner()));
        let remarks = RefCell::new(errors.iter().map(Remark::syntax).collect());
        // Relative paths stay right whatever the working directory becomes later.
        let folder = path.parent().unwrap_or(Path::new(""));
        let folder = std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned());
        let file = Rc::new(File { path: path.to_owned(), folder, text, remarks });
        file.look_at_text();
        Document { root: Table { file: file.clone(), fields: root, path: String::new() }, file }
    }

    /// The table of the keys before the first header, and of the headers.
    pub fn root(&self) -> Table {
        self.root.clone()
    }

    /// All complaints in the order of the file, with those about keys that nobody took. When there is none: the warnings.
    pub fn finish(self) -> Result<Vec<Complaint>, Complaints> {
        self.root.unknown_keys();
        let mut remarks = self.file.remarks.take();
        remarks.sort_by_key(|one| one.start);
        let broken: Vec<usize> =
            remarks.iter().filter(|one| one.what == What::Syntax).map(|one| self.file.place(one.start).0).collect();
        // What a broken line was to say is not known, so other complaints that may come of it are left out.
        remarks.retain(|one| match one.what {
            What::Syntax => true,
            What::Missing => broken.is_empty(),
            What::Other | What::Warning => !broken.contains(&self.file.place(one.start).0),
        });
        let failed = remarks.iter().any(|one| one.what != What::Warning);
        remarks.retain(|one| !failed || one.what != What::Warning);
        let mut complaints: Vec<Complaint> = remarks.into_iter().map(|one| self.file.complaint(one)).collect();
        complaints.dedup();
        if failed { Err(Complaints(complaints)) } else { Ok(complaints) }
    }

    /// [`finish`](Document::finish) with the value that was built on the way. `None` without a complaint is a mistake of
    /// ours and told as such.
    pub fn finish_with<T>(self, built: Option<T>) -> Result<(T, Vec<Complaint>), Complaints> {
        let file = self.file.path.clone();
        let warnings = self.finish()?;
        let sentence = "cannot be used, and the program does not know why: please report this".to_owned();
        built.map(|value| (value, warnings)).ok_or(Complaints(vec![Complaint { file, at: None, key: None, sentence }]))
    }
}

impl Table {
    /// The value under `key`, `None` when there is none or when it does not fit, which is then a complaint.
    pub fn take<T: FromValue>(&self, key: &str) -> Option<T> {
        let field = self.fields.ask(key)?;
        self.typed(field)
    }

    /// [`take`](Table::take), and a complaint when there is none.
    pub fn require<T: FromValue>(&self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.missing(key);
        }
        self.take(key)
    }

    /// [`take`](Table::take), or the default when there is none. A value that does not fit is a complaint, and the
    /// default stands in until [`Document::finish`] refuses the file.
    pub fn or<T: FromValue>(&self, key: &str, default: T) -> T {
        self.take(key).unwrap_or(default)
    }

    /// The table under `key`: `[key]` or `key = { … }`.
    pub fn table(&self, key: &str) -> Option<Table> {
        let field = self.fields.ask(key)?;
        self.sub(field)
    }

    /// [`table`](Table::table), and a complaint when there is none.
    pub fn require_table(&self, key: &str) -> Option<Table> {
        if !self.has(key) {
            self.missing(key);
        }
        self.table(key)
    }

    /// Every table under `key` with its name, in the order of the file: `[key.NAME]`. None at all is no complaint.
    pub fn tables(&self, key: &str) -> Vec<(String, Table)> {
        let Some(all) = self.table(key) else { return Vec::new() };
        let named = all.fields.entries.iter().filter_map(|field| {
            field.taken.set(true);
            Some((field.key.clone(), all.sub(field)?))
        });
        named.collect()
    }

    /// Every entry of a table whose keys are the operator's own words, in the order of the file.
    pub fn entries<T: FromValue>(&self) -> Vec<(String, T)> {
        let typed = self.fields.entries.iter().filter_map(|field| {
            field.taken.set(true);
            Some((field.key.clone(), self.typed(field)?))
        });
        typed.collect()
    }

    /// Whether the key stands in the file, fitting or not.
    pub fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some()
    }

    /// Complains about the value of `key`, or about the table where there is no such key.
    pub fn complain(&self, key: &str, sentence: impl Into<String>) {
        self.file.add(What::Other, self.start_of(key), Some(self.full(key)), sentence.into());
    }

    /// Complains about the table itself.
    pub fn complain_here(&self, sentence: impl Into<String>) {
        self.file.add(What::Other, self.fields.start, Some(self.path.clone()), sentence.into());
    }

    /// Complains about one entry of the list under `key`, counted from 0.
    pub fn complain_item(&self, key: &str, index: usize, sentence: impl Into<String>) {
        let item = self.fields.get(key).and_then(|field| match &field.node.data {
            Data::List(list) => list.get(index),
            _ => None,
        });
        let start = item.map_or_else(|| self.start_of(key), |node| node.start);
        self.file.add(What::Other, start, Some(self.full(key)), sentence.into());
    }

    /// Says something about `key` that does not keep the file from loading.
    pub fn warn(&self, key: &str, sentence: impl Into<String>) {
        self.file.add(What::Warning, self.start_of(key), Some(self.full(key)), sentence.into());
    }

    /// [`warn`](Table::warn) about the table itself.
    pub fn warn_here(&self, sentence: impl Into<String>) {
        self.file.add(What::Warning, self.fields.start, Some(self.path.clone()), sentence.into());
    }

    fn missing(&self, key: &str) {
        let asked = self.fields.ask(key);
        debug_assert!(asked.is_none());
        self.file.add(What::Missing, self.fields.start, Some(self.full(key)), "is missing, and has no default".into());
    }

    fn typed<T: FromValue>(&self, field: &Field) -> Option<T> {
        match T::from_value(self.file.value(field)) {
            Ok(typed) => Some(typed),
            Err(Wrong(sentences)) => {
                for (at, sentence) in sentences {
                    let start = at.unwrap_or(field.node.start);
                    self.file.add(What::Other, start, Some(self.full(&field.key)), sentence);
                }
                None
            }
        }
    }

    fn sub(&self, field: &Field) -> Option<Table> {
        match &field.node.data {
            Data::Table(fields) => {
                Some(Table { file: self.file.clone(), fields: fields.clone(), path: self.full(&field.key) })
            }
            _ => {
                self.complain(&field.key, format!("must be a table, but is {}", field.node.kind()));
                None
            }
        }
    }

    fn unknown_keys(&self) {
        let asked = self.fields.asked.borrow();
        for field in &self.fields.entries {
            match (&field.node.data, field.taken.get()) {
                (Data::Table(_), true) => {
                    if let Some(table) = self.sub(field) {
                        table.unknown_keys();
                    }
                }
                (_, true) => {}
                (_, false) => {
                    let sentence = unknown(&field.key, &asked);
                    self.file.add(What::Other, field.start, Some(self.full(&field.key)), sentence);
                }
            }
        }
    }

    fn start_of(&self, key: &str) -> usize {
        self.fields.get(key).map_or(self.fields.start, |field| field.node.start)
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn unknown(key: &str, asked: &[String]) -> String {
    if let Some(near) = nearest(key, asked.iter().map(String::as_str)) {
        return format!("is unknown; did you mean `{near}`?");
    }
    match asked {
        [] => "is unknown: no key is known here".to_owned(),
        _ => format!("is unknown; known here are `{}`", asked.join("`, `")),
    }
}

impl File {
    fn add(&self, what: What, start: usize, key: Option<String>, sentence: String) {
        self.remarks.borrow_mut().push(Remark { start, what, key, sentence });
    }

    fn value<'a>(&'a self, field: &'a Field) -> Value<'a> {
        Value { node: &field.node, folder: &self.folder }
    }

    /// What the parser has no good sentence for. The file is then broken as a whole: one sentence, not many.
    fn look_at_text(&self) {
        let whole = if self.text.trim().is_empty() {
            Some((0, "the file is empty"))
        } else if self.text.starts_with('\u{feff}') {
            Some((0, "begins with a byte order mark: save the file as UTF-8 without BOM"))
        } else {
            self.text.find('\0').map(|at| (at, "holds a NUL character: this is not a text file"))
        };
        if let Some((start, sentence)) = whole {
            let only = Remark { start, what: What::Syntax, key: None, sentence: sentence.to_owned() };
            self.remarks.replace(vec![only]);
        }
    }

    fn complaint(&self, remark: Remark) -> Complaint {
        let at = Some(self.place(remark.start));
        Complaint {
            file: self.path.clone(),
            at,
            key: remark.key.filter(|key| !key.is_empty()),
            sentence: remark.sentence,
        }
    }

    /// Line and column of a byte, both from 1.
    fn place(&self, start: usize) -> (usize, usize) {
        let mut cut = start.min(self.text.len());
        while !self.text.is_char_boundary(cut) {
            cut -= 1;
        }
        let before = &self.text[..cut];
        let line = before.rsplit('\n').next().unwrap_or(before);
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

impl Remark {
    /// The parser's own sentence; never its excerpt of the line, which may hold a secret.
    fn syntax(error: &toml::de::Error) -> Remark {
        let start = error.span().map_or(0, |span| span.start);
        let sentence = match error.message() {
            "duplicate key" => "this key or table stands here a second time: keep one".to_owned(),
            message => message.to_owned(),
        };
        Remark { start, what: What::Syntax, key: None, sentence }
    }
}
