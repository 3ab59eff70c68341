//! `completions` and `man`: what a packager builds from the arguments.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Arguments;
use crate::cli::render;

/// Writes completions for `shell`.
///
/// # Errors
///
/// Those of standard output.
pub(super) fn completions(shell: Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "graphkeeper", &mut script);
    render::print_with(|out| io::Write::write_all(out, &script))
}

/// Writes a manual page for the program and one for each command, such as `graphkeeper-history-show.1`.
///
/// # Errors
///
/// Those of `directory`, which must be there.
pub(super) fn man_pages(directory: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Arguments::command(), directory)
}

/// Writes the manual page: the program, then each command as a section of its own.
///
/// # Errors
///
/// Those of standard output.
pub(super) fn man() -> io::Result<()> {
    let page = clap_mangen::Man::new(Arguments::command());
    let mut command = Arguments::command();
    command.build();
    render::print_with(|out| {
        page.render(out)?;
        for command in command.get_subcommands() {
            writeln_section(out, command)?;
        }
        Ok(())
    })
}

/// One command as a section: what it is for, how it is called, its options, examples.
fn writeln_section(out: &mut impl io::Write, command: &clap::Command) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    writeln!(out, ".SH COMMAND {}", command.get_name().to_uppercase())?;
    page.render_description_section(&mut Demoted(out))?;
    page.render_synopsis_section(&mut Demoted(out))?;
    page.render_options_section(&mut Demoted(out))?;
    page.render_extra_section(&mut Demoted(out))
}

/// Turns the sections of a page of its own into parts of a section.
struct Demoted<'a, W: io::Write>(&'a mut W);

impl<W: io::Write> io::Write for Demoted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).replace(".SH ", ".SS ");
        self.0.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
