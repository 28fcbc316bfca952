//! What a command says on standard output.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line for whoever reads the output; whether anybody does is not our business.
pub(crate) fn print_line(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
