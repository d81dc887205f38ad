//! The lines of files that are edited.

/// The lines of a file that is edited. Unlike [`str::lines`] it leaves a carriage return where it stands: it is the
/// operator's, and an edit that took one away would take the next one away the next time.
pub fn lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split_terminator('\n')
}
