//! The reference page of the command line, made from what `--help` prints.

use clap::Command;

use super::output;

/// The width of the help in columns, independent of the terminal.
const WIDTH: usize = 100;

/// Prints the help of every verb as Markdown.
pub fn run(command: Command) -> anyhow::Result<()> {
    let mut page = "# Command line\n\nThe output of `--help`; made by `make cli-reference`.\n".to_owned();
    let mut command = command.term_width(WIDTH).hide_possible_values(false);
    command.build();
    section(&mut command, &mut page);
    output::print(&page)
}

fn section(command: &mut Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.clone().mut_args(|arg| arg.hide_env_values(true)).render_long_help();
    let lines: Vec<_> = help.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    page.extend(["\n## `", &name, "`\n\n```text\n", lines.join("\n").trim_end(), "\n```\n"]);
    let verbs = command.get_subcommands_mut().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    for verb in verbs {
        section(verb, page);
    }
}
