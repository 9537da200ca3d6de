//! `skew-check man` and `skew-check completions`: made from the command line itself, so that nothing in them is out of date.

mod pages;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, CommandFactory};
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::cli::{self, Cli};
use crate::error::CliError;
use crate::output::Status;
use pages::Page;

/// When the pages last changed in more than what the command line says.
const DATE: &str = "2026-11-22";

const SECTION: &str = "1";

const WHERE_TO: &str = "\
Where shells look for them:
  bash  ~/.local/share/bash-completion/completions/skew-check
  zsh   _skew-check in a directory of $fpath
  fish  ~/.config/fish/completions/skew-check.fish
Packages: /usr/share/bash-completion/completions/skew-check, /usr/share/zsh/vendor-completions/_skew-check and
/usr/share/fish/vendor_completions.d/skew-check.fish.";

#[derive(Debug, Args)]
#[command(after_help = WHERE_TO)]
pub(crate) struct CompletionsOptions {
    /// For which shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Of which command; otherwise the page of skew-check itself.
    #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(names()))]
    command: Option<String>,
    /// Write all pages into this directory, which is made where it is not there.
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = clap::ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

/// Prints a script for a shell.
pub(crate) fn complete(options: &CompletionsOptions) -> Result<Status, CliError> {
    let mut command = Cli::command();
    command.set_bin_name("skew-check");
    command.build();
    let mut script = Vec::new();
    options.shell.try_generate(&command, &mut script)?;
    if options.shell == Shell::Bash {
        // clap_complete 4.6 writes the hyphen of a program's name in two ways, and then knows the options of no command
        // (clap-rs/clap#6421).
        let text = String::from_utf8_lossy(&script).replace("skew__subcmd__check", "skew__check");
        script = text.into_bytes();
    }
    print(&script)
}

/// Prints a page, or writes all of them.
pub(crate) fn run(options: &ManOptions) -> Result<Status, CliError> {
    let command = command();
    if let Some(directory) = &options.directory {
        let failed = |file: &Path, error| CliError::WriteFile { file: file.to_owned(), error };
        fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        for command in documented(&command) {
            let (name, page) = page(command)?;
            let file = directory.join(name);
            fs::write(&file, page).map_err(|error| failed(&file, error))?;
        }
        return Ok(Status::Ok);
    }
    let of = options.command.as_deref().and_then(|name| command.find_subcommand(name)).unwrap_or(&command);
    print(&page(of)?.1)
}

fn print(text: &[u8]) -> Result<Status, CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(Status::Ok)
}

/// The command line with the names of variables, and with what its commands inherit from it.
fn command() -> Command {
    let mut command = cli::with_environment(Cli::command().disable_help_subcommand(true));
    command.build();
    command
}

/// What has a page: the whole and each command.
fn documented(command: &Command) -> impl Iterator<Item = &Command> {
    std::iter::once(command).chain(command.get_subcommands().filter(|sub| !sub.is_hide_set()))
}

/// The commands that have a page. Not from the command line, which is made of this.
fn names() -> Vec<&'static str> {
    pages::PAGES.iter().map(|page| page.command).filter(|name| !name.is_empty()).collect()
}

/// The file's name, and what is in it.
fn page(command: &Command) -> Result<(String, Vec<u8>), CliError> {
    let name = command.get_display_name().unwrap_or("skew-check").to_owned();
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section(SECTION)
        .date(DATE)
        .source(concat!("skew-check ", env!("CARGO_PKG_VERSION")))
        .manual("Clock skew");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let own = if command.has_subcommands() { "" } else { command.get_name() };
    let mut rest = Roff::new();
    if let Some(page) = pages::PAGES.iter().find(|page| page.command == own) {
        write_sections(&mut rest, page, command);
    }
    rest.to_writer(&mut out)?;
    Ok((format!("{name}.{SECTION}"), out))
}

fn write_sections(out: &mut Roff, page: &Page, command: &Command) {
    out.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in page.exit_status {
        entry(out, status, meaning);
    }
    out.control("SH", ["ENVIRONMENT"]);
    let variables: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    entry(out, &variables.join(", "), pages::VARIABLES);
    for (name, meaning) in pages::ENVIRONMENT {
        entry(out, name, meaning);
    }
    out.control("SH", ["FILES"]);
    for (file, meaning) in page.files.iter().chain(pages::FILES) {
        entry(out, file, meaning);
    }
    out.control("SH", ["EXAMPLES"]);
    for (index, (what, lines)) in page.examples.iter().enumerate() {
        if index > 0 {
            out.control("PP", []);
        }
        out.text([roman(*what)]);
        verbatim(out, lines);
    }
    out.control("SH", ["SEE ALSO"]);
    let own = format!("skew-check{}{}", if page.command.is_empty() { "" } else { "-" }, page.command);
    let others = names().into_iter().map(|name| format!("skew-check-{name}"));
    let others = std::iter::once("skew-check".to_owned()).chain(others).filter(|name| *name != own);
    let others =
        others.map(|name| (name, SECTION)).chain(page.see_also.iter().map(|(n, s)| ((*n).to_owned(), *s)));
    let mut line: Vec<Inline> = Vec::new();
    for (name, section) in others {
        line.extend((!line.is_empty()).then(|| roman(", ")));
        line.extend([bold(name), roman(format!("({section})"))]);
    }
    out.text(line);
}

fn entry(out: &mut Roff, name: &str, meaning: &str) {
    out.control("TP", []);
    out.text([bold(name)]);
    out.text([roman(meaning)]);
}

fn verbatim(out: &mut Roff, lines: &str) {
    out.control("PP", []);
    out.control("RS", ["4"]);
    out.control("nf", []);
    for line in lines.lines() {
        // An empty line would end the paragraph.
        out.text([roman(if line.is_empty() { " " } else { line })]);
    }
    out.control("fi", []);
    out.control("RE", []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_says_how_it_ends_and_how_it_is_used() {
        let command = command();
        for sub in documented(&command) {
            let own = if sub.has_subcommands() { "" } else { sub.get_name() };
            let page = pages::PAGES.iter().find(|page| page.command == own);
            let page = page.unwrap_or_else(|| panic!("manual/pages.rs says nothing of {own}"));
            assert!(!page.exit_status.is_empty() && !page.examples.is_empty(), "{own}");
        }
    }
}
