package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a script that completes commands, flags and their values in a shell.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: ${enum}."`
}

// Help returns the text that kong prints above the flags.
func (c *completionCommand) Help() string {
	return "bash: eval \"$(millrace completion bash)\" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc, after compinit. " +
		"fish: millrace completion fish > ~/.config/fish/completions/millrace.fish"
}

// Run prints the script.
func (c *completionCommand) Run(std Streams, app *kong.Kong) error {
	script := map[string]func(*grammarNode) string{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion,
	}[c.Shell]
	_, err := fmt.Fprint(std.Out, script(readGrammar(app.Model)))
	return err
}

// commandPaths returns the paths of all commands below the program.
func commandPaths(g *grammarNode) []string {
	var paths []string
	for _, n := range g.all()[1:] {
		paths = append(paths, n.path)
	}
	return paths
}

// bashCompletion returns a script without helpers of bash-completion, which is not installed everywhere. Where it knows no
// word, file names are completed.
func bashCompletion(g *grammarNode) string {
	var values, words strings.Builder
	for _, n := range g.all() {
		var flags, free []string
		for _, f := range n.flags {
			flags = append(flags, "--"+f.name)
			if len(f.values) > 0 {
				fmt.Fprintf(&values, "    '%s --%s') words='%s' ;;\n", n.path, f.name, strings.Join(f.values, " "))
			} else if f.placeholder != "" {
				free = append(free, fmt.Sprintf("'%s --%s'", n.path, f.name))
			}
		}
		if len(free) > 0 {
			fmt.Fprintf(&values, "    %s) return ;;\n", strings.Join(free, "|"))
		}
		fmt.Fprintf(&words, "    %s) words='%s' flags='%s' ;;\n", n.path, strings.Join(n.words(), " "), strings.Join(flags, " "))
	}
	return `# Completes millrace in bash; made by: millrace completion bash
_millrace() {
  local at=millrace current="${COMP_WORDS[COMP_CWORD]}" flag="${COMP_WORDS[COMP_CWORD-1]}" word words= flags=
  COMPREPLY=()
  [[ $current == = ]] && current=
  [[ $flag == = ]] && flag="${COMP_WORDS[COMP_CWORD-2]}"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at/$word" in
    ` + strings.Join(commandPaths(g), "|") + `) at="$at/$word" ;;
    esac
  done
  case "$at $flag" in
` + values.String() + `  esac
  if [[ -z $words ]]; then
    case "$at" in
` + words.String() + `    esac
    [[ $current == -* ]] && words="$flags"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _millrace millrace
`
}

func zshCompletion(g *grammarNode) string {
	var cases strings.Builder
	for _, n := range g.all() {
		fmt.Fprintf(&cases, "  %s)\n    _arguments", n.path)
		for _, f := range n.flags {
			value := ""
			if len(f.values) > 0 {
				value = fmt.Sprintf(":%s:(%s)", f.name, strings.Join(f.values, " "))
			} else if f.placeholder != "" {
				value = ":" + f.name + ":_files"
			}
			equals := ""
			if value != "" {
				equals = "="
			}
			fmt.Fprintf(&cases, " \\\n      %s", SingleQuoted("--"+f.name+equals+"["+zshEscaped(f.help)+"]"+value))
		}
		action := "_files"
		if words := n.words(); len(words) > 0 {
			action = "(" + strings.Join(words, " ") + ")"
		}
		if len(n.commands) > 0 {
			var list []string
			for _, c := range n.commands {
				list = append(list, c.name()+`\:`+`"`+zshEscaped(strings.ReplaceAll(c.help, `"`, `'`))+`"`)
			}
			action = "((" + strings.Join(list, " ") + "))"
		}
		fmt.Fprintf(&cases, " \\\n      %s ;;\n", SingleQuoted("*: :"+action))
	}
	return `#compdef millrace
# Completes millrace in zsh; made by: millrace completion zsh
_millrace() {
  local at=millrace word
  for word in ${words[2,CURRENT-1]}; do
    case "$at/$word" in
    ` + strings.Join(commandPaths(g), "|") + `) at="$at/$word" ;;
    esac
  done
  case "$at" in
` + cases.String() + `  esac
}
if [ "$funcstack[1]" = _millrace ]; then _millrace "$@"; else compdef _millrace millrace; fi
`
}

// zshEscaped escapes what has a meaning in a description of _arguments.
func zshEscaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}

func fishCompletion(g *grammarNode) string {
	var lines strings.Builder
	for _, n := range g.all() {
		condition := fmt.Sprintf("complete -c millrace -n 'test (__millrace_at) = %s'", n.path)
		for _, c := range n.commands {
			fmt.Fprintf(&lines, "%s -f -a %s -d %s\n", condition, c.name(), SingleQuoted(c.help))
		}
		for _, a := range n.args {
			if len(a.values) > 0 {
				fmt.Fprintf(&lines, "%s -f -a %s -d %s\n", condition, SingleQuoted(strings.Join(a.values, " ")), SingleQuoted(a.help))
			}
		}
		for _, f := range n.flags {
			value := ""
			if len(f.values) > 0 {
				value = " -x -a " + SingleQuoted(strings.Join(f.values, " "))
			} else if f.placeholder != "" {
				value = " -r"
			}
			fmt.Fprintf(&lines, "%s -l %s%s -d %s\n", condition, f.name, value, SingleQuoted(f.help))
		}
	}
	return `# Completes millrace in fish; made by: millrace completion fish
function __millrace_at
    set -l at millrace
    for word in (commandline -opc)[2..-1]
        if contains -- "$at/$word" ` + strings.Join(commandPaths(g), " ") + `
            set at "$at/$word"
        end
    end
    echo $at
end
` + lines.String()
}

// SingleQuoted quotes a text for a shell.
func SingleQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
