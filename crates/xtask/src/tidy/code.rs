//! Reading Rust for the rules: which paths, macros and literals the shipped part of a file names, and where.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Meta, Token, UseTree};

/// Whether attributes say that something is compiled for tests only.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.segments.last().is_some_and(|last| last.ident == "test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args().is_ok_and(|meta| needs_test(&meta))
        }
        _ => false,
    })
}

fn needs_test(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}

/// The file that `#[path = "..."]` names.
pub(crate) fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// The file without what is compiled for tests only.
pub(crate) fn shipped(file: &syn::File) -> syn::File {
    let mut file = file.clone();
    Prune.visit_file_mut(&mut file);
    file
}

struct Prune;

impl VisitMut for Prune {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(is_shipped);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(is_shipped);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(item) => !is_test_only(&item.attrs),
            syn::ImplItem::Const(item) => !is_test_only(&item.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block
            .stmts
            .retain(|statement| !matches!(statement, syn::Stmt::Item(item) if !is_shipped(item)));
        visit_mut::visit_block_mut(self, block);
    }
}

/// Whether an item is compiled into more than tests.
pub(crate) fn is_shipped(item: &syn::Item) -> bool {
    use syn::Item;
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return true,
    };
    !is_test_only(attributes)
}

/// A word of a file: a path as it is after the file's imports, a macro's name with its `!`, or a string's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// `std::fs::read`, also where only `fs::read` is written and `use std::fs` stands above. An import's own path
    /// is one, too; that of a glob ends in `*`.
    Path(String),
    /// `println!`.
    Macro(String),
    /// `"text"`.
    Text(String),
}

/// The words of a file, each with its line, in order, each once a line.
pub(crate) fn words(file: &syn::File) -> Vec<(usize, Word)> {
    let mut imports = Imports::default();
    imports.visit_file(file);
    let names = imports
        .0
        .iter()
        .filter_map(|import| Some((import.name.clone()?, import.path.clone())));
    let names = names.collect();
    let mut found: Vec<(usize, Word)> = imports
        .0
        .into_iter()
        .map(|import| (import.line, Word::Path(import.path)))
        .collect();
    scan(file.to_token_stream(), &names, &mut found);
    found.sort();
    found.dedup();
    found
}

/// The paths in a piece of code as they are written, each with its line.
pub(crate) fn paths(code: &impl ToTokens) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    scan(code.to_token_stream(), &BTreeMap::new(), &mut found);
    let path = |(line, word)| match word {
        Word::Path(path) => Some((line, path)),
        Word::Text(_) | Word::Macro(_) => None,
    };
    found.into_iter().filter_map(path).collect()
}

/// The strings in a piece of code.
pub(crate) fn texts(code: &impl ToTokens) -> Vec<String> {
    let mut found = Vec::new();
    scan(code.to_token_stream(), &BTreeMap::new(), &mut found);
    let text = |(_, word)| match word {
        Word::Text(text) => Some(text),
        Word::Path(_) | Word::Macro(_) => None,
    };
    found.into_iter().filter_map(text).collect()
}

/// One name that a `use` brings in.
pub(crate) struct Import {
    /// Where it is written.
    pub(crate) line: usize,
    /// What it is called here; none for a glob.
    pub(crate) name: Option<String>,
    /// What it is; a glob's ends in `*`.
    pub(crate) path: String,
}

/// The names that a `use` brings in.
pub(crate) fn imports(item: &syn::ItemUse) -> Vec<Import> {
    let mut imports = Imports::default();
    imports.visit_item_use(item);
    imports.0
}

#[derive(Default)]
struct Imports(Vec<Import>);

impl Imports {
    fn tree(&mut self, prefix: &str, tree: &UseTree) {
        let join = |ident: &syn::Ident| match (prefix, ident.to_string()) {
            (prefix, name) if name == "self" && !prefix.is_empty() => prefix.to_owned(),
            ("", name) => name,
            (prefix, name) => format!("{prefix}::{name}"),
        };
        let mut end = |line, name, path| self.0.push(Import { line, name, path });
        match tree {
            UseTree::Path(path) => self.tree(&join(&path.ident), &path.tree),
            UseTree::Name(leaf) => {
                let path = join(&leaf.ident);
                let name = path.rsplit("::").next().map(str::to_owned);
                end(leaf.ident.span().start().line, name, path);
            }
            UseTree::Rename(leaf) => {
                let name = leaf.rename.to_string();
                end(leaf.ident.span().start().line, Some(name), join(&leaf.ident));
            }
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                end(line, None, format!("{prefix}::*"));
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(prefix, tree)),
        }
    }
}

impl<'a> Visit<'a> for Imports {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree("", &item.tree);
    }
}

fn scan(stream: TokenStream, imports: &BTreeMap<String, String>, found: &mut Vec<(usize, Word)>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => scan(group.stream(), imports, found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push((literal.span().start().line, Word::Text(text.value())));
                }
            }
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                let mut path = ident.to_string();
                while let Some(next) = next_segment(&tokens[at + 1..]) {
                    path = format!("{path}::{next}");
                    at += 3;
                }
                if is_macro(&tokens[at + 1..]) {
                    let name = path.rsplit("::").next().unwrap_or_default();
                    found.push((line, Word::Macro(format!("{name}!"))));
                } else {
                    found.push((line, Word::Path(resolved(&path, imports))));
                }
            }
            // A field or a method is no path; what follows `..` may be one.
            TokenTree::Punct(dot) if dot.as_char() == '.' => {
                if let Some(TokenTree::Ident(_) | TokenTree::Punct(_)) = tokens.get(at + 1) {
                    at += 1;
                }
            }
            TokenTree::Punct(_) => {}
        }
        at += 1;
    }
}

/// The identifier of `:: ident`.
fn next_segment(rest: &[TokenTree]) -> Option<String> {
    match rest {
        [
            TokenTree::Punct(one),
            TokenTree::Punct(two),
            TokenTree::Ident(ident),
            ..,
        ] if one.as_char() == ':' && two.as_char() == ':' => Some(ident.to_string()),
        _ => None,
    }
}

fn is_macro(rest: &[TokenTree]) -> bool {
    matches!(rest, [TokenTree::Punct(mark), TokenTree::Group(_), ..] if mark.as_char() == '!')
}

fn resolved(path: &str, imports: &BTreeMap<String, String>) -> String {
    let (first, rest) = path
        .split_once("::")
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (imports.get(first), rest) {
        (Some(import), Some(rest)) => format!("{import}::{rest}"),
        (Some(import), None) => import.clone(),
        (None, _) => path.to_owned(),
    }
}

/// Whether a path names what is denied or something in it, or imports everything around it.
pub(crate) fn reaches(path: &str, denied: &str) -> bool {
    if let Some(around) = path.strip_suffix("::*") {
        return denied == around
            || denied
                .rsplit_once("::")
                .is_some_and(|(parent, _)| parent == around)
            || around
                .strip_prefix(denied)
                .is_some_and(|rest| rest.starts_with("::"));
    }
    path.strip_prefix(denied)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The lines on which a lint is allowed, wherever an attribute may stand: also in macros, and under a condition.
pub(crate) fn allowances(file: &syn::File) -> Vec<usize> {
    let mut lines = Vec::new();
    attributes(file.to_token_stream(), &mut lines);
    lines
}

fn attributes(stream: TokenStream, lines: &mut Vec<usize>) {
    let mut marked = false;
    for token in stream {
        if let TokenTree::Group(group) = &token {
            if marked && group.delimiter() == Delimiter::Bracket && allows(group.stream()) {
                lines.push(group.span_open().start().line);
            }
            attributes(group.stream(), lines);
        }
        // `#[...]` and `#![...]`.
        marked = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '#' || marked && mark.as_char() == '!');
    }
}

/// Whether the inside of an attribute is `allow(...)`, or a condition with one after it.
fn allows(stream: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(_), ..] if name == "allow" => true,
        [TokenTree::Ident(name), TokenTree::Group(group), ..] if name == "cfg_attr" => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            inside
                .windows(2)
                .any(|two| matches!(two, [TokenTree::Ident(name), TokenTree::Group(_)] if name == "allow"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, word: &Word) -> bool {
        let file = shipped(&syn::parse_file(text).unwrap());
        words(&file).iter().any(|(_, found)| found == word)
    }

    fn path(text: &str) -> Word {
        Word::Path(text.to_owned())
    }

    #[test]
    fn paths_are_seen_through_imports_and_macros() {
        let read = path("std::fs::read");
        for text in [
            "fn f() { std::fs::read(1); }",
            "use std::fs; fn f() { fs::read(1); }",
            "use std::{fs as files}; fn f() { files::read(1); }",
            "use std::fs::{self, read as r};",
            "use std::fs::read; fn f() { vec![read(1)]; }",
            "fn f() { format!(\"{}\", std::fs::read(1)); }",
            "fn f() { ::std::fs::read(1); }",
        ] {
            assert!(has(text, &read), "{text}");
        }
        assert!(has("use std::time::*;", &path("std::time::*")));
        assert!(!has("fn f() { fs::read(1); }", &read));
    }

    #[test]
    fn what_only_tests_have_is_not_seen() {
        for text in [
            "#[cfg(test)] mod tests { fn f() { std::fs::read(1); } }",
            "#[test] fn f() { std::fs::read(1); }",
            "#[cfg(all(test, unix))] use std::fs::read;",
            "struct S; impl S { #[cfg(test)] fn f() { std::fs::read(1); } }",
            "fn g() { #[cfg(test)] fn f() { std::fs::read(1); } }",
        ] {
            assert!(!has(text, &path("std::fs::read")), "{text}");
        }
        for text in [
            "#[cfg(any(test, unix))] fn f() { std::fs::read(1); }",
            "#[cfg(not(test))] fn f() { std::fs::read(1); }",
        ] {
            assert!(has(text, &path("std::fs::read")), "{text}");
        }
    }

    #[test]
    fn macros_and_strings_are_words_too() {
        assert!(has(
            "fn f() { println!(\"x\"); }",
            &Word::Macro("println!".to_owned())
        ));
        assert!(has(
            "fn f() { std::println!(\"x\"); }",
            &Word::Macro("println!".to_owned())
        ));
        assert!(has(
            "fn f() { assert!(k == r\"x\"); }",
            &Word::Text("x".to_owned())
        ));
    }

    #[test]
    fn a_lint_is_allowed_in_many_places() {
        let lines = |text: &str| allowances(&syn::parse_file(text).unwrap());
        for text in [
            "#![allow(dead_code)]",
            "#[allow(dead_code)] fn f() {}",
            "fn f() { #[allow(unused)] let x = 1; }",
            "#[cfg_attr(unix, allow(unused))] fn f() {}",
            "macro_rules! m { () => { #[allow(unused)] fn f() {} } }",
        ] {
            assert_eq!(lines(text), [1], "{text}");
        }
        assert!(
            lines("#[expect(dead_code, reason = \"allow(x)\")] fn f() { allow(1); g(&x[allow(2)]); }")
                .is_empty()
        );
    }
}
