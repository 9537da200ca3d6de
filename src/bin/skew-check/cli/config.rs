//! Values for options from the environment and from a file: behind the command line, before the defaults.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::{ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Cli;
use crate::output::harmless;

/// What the names of variables begin with.
const PREFIX: &str = "SKEW_CHECK_";

/// The command line, with what the environment and a file say of what it doesn't.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut command = with_environment(Cli::command());
    if let Some(file) = config_file(&arguments) {
        command = with_file(command, &file)?;
    }
    let matches = command.try_get_matches_from_mut(arguments).map_err(plain)?;
    Cli::from_arg_matches(&matches).map_err(|error| plain(error.format(&mut command)))
}

/// Repeats nothing of the command line that would drive a terminal: names on it may come from elsewhere.
fn plain(mut error: clap::Error) -> clap::Error {
    let said: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in said {
        match value {
            ContextValue::String(text) => drop(error.insert(kind, ContextValue::String(harmless(&text)))),
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(|text| harmless(text)).collect();
                drop(error.insert(kind, ContextValue::Strings(texts)));
            }
            _ => {}
        }
    }
    error
}

/// Which file is named, before anything else of the command line is understood.
fn config_file(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter().skip(1).take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(file) = argument.to_str().and_then(|argument| argument.strip_prefix("--config=")) {
            return Some(file.into());
        }
    }
    std::env::var_os(format!("{PREFIX}CONFIG")).filter(|file| !file.is_empty()).map(PathBuf::from)
}

fn variable(option: &str) -> String {
    PREFIX.to_owned() + &option.replace('-', "_").to_ascii_uppercase()
}

/// Not what prints something else and ends.
fn can_be_set(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue)
}

/// The command line, each option with its variable.
pub(crate) fn with_environment(command: Command) -> Command {
    let with = |argument: Arg| match argument.get_long().map(variable) {
        Some(name) if matches!(argument.get_action(), ArgAction::SetTrue) => {
            argument.env(name).hide_env(true).value_parser(BoolishValueParser::new())
        }
        Some(name) if can_be_set(&argument) => argument.env(name).hide_env(true),
        _ => argument,
    };
    command.mut_args(with).mut_subcommands(move |sub| sub.mut_args(with))
}

/// What the file says becomes the defaults: it is read as if it were on the command line.
fn with_file(mut command: Command, file: &Path) -> Result<Command, clap::Error> {
    let name = harmless(&file.display().to_string());
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Err(command.error(ErrorKind::Io, format!("can't read {name}: {error}"))),
    };
    match Settings::read(&text, &command) {
        Ok(settings) => Ok(settings.apply(command)),
        Err((at, problem)) => {
            let before = text.get(..at).unwrap_or(&text);
            let line = before.split('\n').count();
            let column = 1 + before.rsplit('\n').next().map_or(0, |rest| rest.chars().count());
            let problem = harmless(&problem);
            Err(command
                .error(ErrorKind::InvalidValue, format!("{name}, line {line}, column {column}: {problem}")))
        }
    }
}

/// For each command, its options and their values.
struct Settings(Vec<(String, String, Vec<String>)>);

/// Where in a text, and what is wrong there.
type Problem = (usize, String);

impl Settings {
    fn read(text: &str, command: &Command) -> Result<Self, Problem> {
        let file = DeTable::parse(text)
            .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut settings = Vec::new();
        for (name, table) in file.get_ref() {
            let at = name.span().start;
            let sub = command.find_subcommand(name.get_ref().as_ref());
            let sub = sub.ok_or_else(|| (at, format!("there is no command {}", name.get_ref())))?;
            let DeValue::Table(table) = table.get_ref() else {
                return Err((at, format!("this must be a table: [{}]", name.get_ref())));
            };
            for (option, value) in table {
                let argument = sub.get_arguments().find(|argument| {
                    argument.get_long() == Some(option.get_ref().as_ref()) && can_be_set(argument)
                });
                let argument = argument.ok_or_else(|| {
                    (option.span().start, format!("{} has no option {}", name.get_ref(), option.get_ref()))
                })?;
                let values = values(argument, value)?;
                settings.push((sub.get_name().to_owned(), argument.get_id().to_string(), values));
            }
        }
        Ok(Self(settings))
    }

    fn apply(self, command: Command) -> Command {
        self.0.into_iter().fold(command, |command, (sub, option, values)| {
            command.mut_subcommand(sub, |sub| sub.mut_arg(option, |argument| argument.default_values(values)))
        })
    }
}

/// As they would be written on the command line.
fn values(argument: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Problem> {
    let at = value.span().start;
    let flag = matches!(argument.get_action(), ArgAction::SetTrue);
    match value.get_ref() {
        DeValue::Boolean(on) if flag => Ok(vec![on.to_string()]),
        _ if flag => Err((at, "write true or false".to_owned())),
        DeValue::String(text) => Ok(vec![text.to_string()]),
        DeValue::Integer(number) => Ok(vec![number.as_str().replace('_', "")]),
        DeValue::Array(list) if matches!(argument.get_action(), ArgAction::Append) => list
            .iter()
            .map(|entry| match entry.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err((entry.span().start, "write a text in quotes".to_owned())),
            })
            .collect(),
        _ => Err((at, "write a text in quotes, or a number".to_owned())),
    }
}
