//! Templates: `{{ name }}` in arguments and in the files that they name.
//!
//! An unknown name is an error, never an empty string: a configuration with a hole in it is worse than none.

use std::collections::BTreeMap;

use config::reader::with_suggestion;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use protocol::{Encoding, Text};
use types::{Diagnostic, HostName, SecretId, SourceId, Span};

use super::build_cx::BuildCx;
use kit::Service;

/// The variables of templates.
pub(crate) type Vars = BTreeMap<String, String>;

/// The place of a template.
#[derive(Clone, Copy)]
pub enum Place {
    /// In the playbook.
    Argument(Span),
    /// In a file of its own.
    File(SourceId),
}

/// The variables on a host: the inventory's, over them the service's, over them the host's own.
pub(crate) fn vars(host: &HostName, cx: &BuildCx<'_>) -> Vars {
    let mut vars = cx.inventory.vars.clone();
    vars.extend(cx.service.map(Service::vars).unwrap_or_default());
    let address = cx.inventory.hosts.get(host).and_then(|host| host.address.clone());
    vars.insert("address".to_owned(), address.unwrap_or_else(|| host.to_string()));
    vars.insert("host".to_owned(), host.to_string());
    vars
}

/// Renders a template. In an argument that may hold no secrets, there are none to name.
pub fn render(
    template: &str,
    vars: &Vars,
    secrets: Option<&BTreeMap<String, SecretId>>,
    place: Place,
) -> Result<String, Box<Diagnostic>> {
    // Most arguments are plain text.
    if !template.contains("{{") && !template.contains("{%") && !template.contains("{#") {
        return Ok(template.to_owned());
    }
    let mut context: BTreeMap<String, Value> = vars
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value)))
        .collect();
    if let Some(secrets) = secrets {
        let references = secrets
            .iter()
            .map(|(name, id)| (name.clone(), Value::from(Text::secret(id).as_str())));
        let references: BTreeMap<String, Value> = references.collect();
        context.insert("secrets".to_owned(), Value::from(references));
    }
    let failed = |error: &Error| Box::new(wrong(template, place, error));
    let environment = environment().map_err(|error| failed(&error))?;
    let parsed = environment
        .template_from_str(template)
        .map_err(|error| failed(&error))?;
    parsed.render(&context).map_err(|error| match error.kind() {
        ErrorKind::UndefinedError => {
            let used = parsed.undeclared_variables(true);
            let diagnostic = unknown(used, vars, secrets, place.span(template, &error));
            diagnostic.map_or_else(|| failed(&error), Box::new)
        }
        _ => failed(&error),
    })
}

/// A secret that a rendered text has in two encodings.
pub(crate) fn in_two_encodings(text: &str) -> Option<SecretId> {
    let references = Text::new(text).references();
    let mut seen: BTreeMap<&SecretId, Encoding> = BTreeMap::new();
    let mut all = references.iter();
    let other = all.find(|one| *seen.entry(&one.id).or_insert(one.encoding) != one.encoding);
    other.map(|one| one.id.clone())
}

/// Templates are configuration files: lines and their ends stay as they are written, and a line with a block alone
/// leaves none.
fn environment() -> Result<Environment<'static>, Error> {
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    for encoding in Encoding::ALL {
        environment.add_filter(encoding.name(), move |text: String| encoded(&text, encoding));
    }
    Ok(environment)
}

/// `{{ secrets.pw | json }}`: the value is written as the format of the file needs it.
fn encoded(text: &str, encoding: Encoding) -> Result<String, Error> {
    let encoded = Text::new(text).encoded(encoding);
    encoded.map(|text| text.to_string()).ok_or_else(|| {
        let why = format!("what is given to {} is encoded already", encoding.name());
        Error::new(ErrorKind::InvalidOperation, why)
    })
}

/// Reports a name that is used and unknown; `None` where all are known and something else is undefined.
fn unknown(
    used: impl IntoIterator<Item = String>,
    vars: &Vars,
    secrets: Option<&BTreeMap<String, SecretId>>,
    span: Span,
) -> Option<Diagnostic> {
    let mut used: Vec<String> = used.into_iter().collect();
    used.sort();
    let unknown = |name: &str| Diagnostic::error(format!("there is no variable {name:?}"));
    used.iter()
        .find_map(|name| match (name.split_once('.'), secrets) {
            (Some(("secrets", _)), None) => Some(
                unknown(name)
                    .at(span, "no secrets here")
                    .hint("secrets belong into the content of a file, or to the standard input of a command"),
            ),
            (Some(("secrets", secret)), Some(secrets)) => (!secrets.contains_key(secret)).then(|| {
                let diagnostic = unknown(name).at(span, "not among the step's secrets");
                with_suggestion(diagnostic, secret, secrets.keys().map(String::as_str))
            }),
            (parts, _) => {
                let name = parts.map_or(name.as_str(), |(first, _)| first);
                (!vars.contains_key(name)).then(|| {
                    let known: Vec<&str> = vars.keys().map(String::as_str).collect();
                    let diagnostic = unknown(name).at(span, format!("known are {}", known.join(", ")));
                    match with_suggestion(diagnostic, name, known) {
                        suggested if suggested.hint.is_some() => suggested,
                        plain => {
                            plain.hint(format!("set it under [vars] of the inventory: {name} = \"...\""))
                        }
                    }
                })
            }
        })
}

/// Reports a template that cannot be read, or that fails.
fn wrong(template: &str, place: Place, error: &Error) -> Diagnostic {
    let detail = error
        .detail()
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    Diagnostic::error(format!("the template is wrong: {}{detail}", error.kind()))
        .at(place.span(template, error), "")
}

impl Place {
    /// The whole argument, or the beginning of the file.
    pub(crate) fn whole(self) -> Span {
        match self {
            Self::Argument(span) => span,
            Self::File(id) => Span::new(id, 0..0),
        }
    }

    /// The whole argument, or the line of the file.
    fn span(self, template: &str, error: &Error) -> Span {
        match self {
            Self::Argument(span) => span,
            Self::File(id) => {
                let line = error.line().unwrap_or(1);
                let mut lines = template.split_inclusive('\n');
                let start: usize = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
                let length = lines.next().map_or(0, |line| line.trim_end().len());
                Span::new(id, start..start + length)
            }
        }
    }
}
