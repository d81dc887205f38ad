//! What a text is drawn with: whether colour may be used, and how wide the screen is.
//!
//! Colour is for terminals. `NO_COLOR` (see no-color.org) and `--color` have the last word, in that order of rank:
//! the option beats the variable, the variable beats what the stream is.

use std::fmt::Display;

use console::{Style, Term};

use crate::text::escape_controls;

/// The width of what is not shown on a terminal: a file or a log, read later at any width.
pub const DEFAULT_WIDTH: usize = 100;

/// What `--color` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Colour everywhere.
    Always,
    /// No colour.
    Never,
}

/// What a text is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether there is colour.
    pub colour: bool,
    /// Columns of the screen.
    pub width: usize,
}

/// What a piece of text means; the colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Headings and names.
    Strong,
    /// What is there for completeness.
    Faint,
    /// Something good, or something new.
    Good,
    /// Something that changes, or asks for attention.
    Warn,
    /// Something bad, or something removed.
    Bad,
    /// Something that informs.
    Info,
}

impl Screen {
    /// The screen of standard output.
    pub fn of_stdout(choice: ColourChoice) -> Self {
        Self::of(&Term::stdout(), choice)
    }

    /// The screen of standard error.
    pub fn of_stderr(choice: ColourChoice) -> Self {
        Self::of(&Term::stderr(), choice)
    }

    /// Without colour, at the default width.
    pub fn plain() -> Self {
        Self {
            colour: false,
            width: DEFAULT_WIDTH,
        }
    }

    fn of(term: &Term, choice: ColourChoice) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: decide(choice, term.is_term() && !dumb, variable("NO_COLOR").is_some()),
            width: term
                .size_checked()
                .map_or(DEFAULT_WIDTH, |(_, columns)| usize::from(columns)),
        }
    }

    /// Paints a piece of text, where there is colour. Whatever could steer the terminal is made visible before.
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        let text = escape_controls(&text.to_string());
        if !self.colour {
            return text;
        }
        let style = Style::new().force_styling(true);
        let style = match paint {
            Paint::Strong => style.bold(),
            Paint::Faint => style.dim(),
            Paint::Good => style.green(),
            Paint::Warn => style.yellow(),
            Paint::Bad => style.red(),
            Paint::Info => style.cyan(),
        };
        style.apply_to(text).to_string()
    }
}

fn decide(choice: ColourChoice, terminal: bool, no_color: bool) -> bool {
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => terminal && !no_color,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_beats_the_variable_and_the_variable_beats_the_stream() {
        assert!(decide(ColourChoice::Always, false, true));
        assert!(!decide(ColourChoice::Never, true, false));
        assert!(decide(ColourChoice::Auto, true, false));
        assert!(!decide(ColourChoice::Auto, true, true));
        assert!(!decide(ColourChoice::Auto, false, false));
    }

    #[test]
    fn without_colour_a_text_stays_as_it_is() {
        assert_eq!(Screen::plain().paint(Paint::Bad, "x"), "x");
        let screen = Screen {
            colour: true,
            width: 80,
        };
        assert_eq!(screen.paint(Paint::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
